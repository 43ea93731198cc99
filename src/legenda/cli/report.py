"""`legenda report ATLAS`."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from legenda.cli.output import progress, say, tell, writable, write
from legenda.cli.settings import wholes
from legenda.errors import BadInput

MOST = 1000


def report(
    atlas: Path,
    /,
    *,
    out: Path = Path("legenda-report.html"),
    units: str | None = None,
    against: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """An atlas as one page: it opens from disk, needs no network, and can be mailed.

    Parameters
    ----------
    atlas
        The folder of an atlas.
    out
        The page.
    units
        Units that are shown, at most; more make it larger. Named ones come first, surest first.
    against
        Another atlas, to compare with.
    json
        What was written on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    given = wholes(units=units)["units"]
    most = MOST if given is None else given
    if most < 1:
        raise BadInput(f"--units shows at least one unit; it got {most}. Leave it out for {MOST}.")
    writable(out)
    began = time.perf_counter()
    with progress("writing"):
        text, shown, held = made(atlas, most, against)
    write(out, text)
    size = out.stat().st_size
    if json:
        tell({
            "kind": "report", "out": str(out), "bytes": size, "units": shown, "of": held,
            "seconds": round(time.perf_counter() - began, 3),
        })  # fmt: skip
    else:
        some = f"{shown:,} of {held:,}" if shown < held else f"{held:,}"
        say(f"{out}: {some} units, {size / 1e6:.1f} MB")
    if open_:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0


def made(folder: Path, most: int, against: Path | None) -> tuple[str, int, int]:
    """The page, how many units it shows, and how many there are."""
    from contextlib import ExitStack

    from legenda.atlas.store import Atlas
    from legenda.show.report import report as page

    with ExitStack() as held:
        atlas = held.enter_context(Atlas(folder))
        other = held.enter_context(Atlas(against)) if against else None
        total = int(atlas.value("SELECT total(count) FROM tallies"))
        return page(atlas, most=most, against=other), min(most, total), total
