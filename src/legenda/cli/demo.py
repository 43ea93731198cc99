"""`legenda demo`: the whole instrument on the models that ship."""

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.gather_words import plain, told
from legenda.cli.output import progress, say, show, tell, writable, write

NEXT = """With models of your own, into one atlas:
  legenda gather MY.atlas latents --model VAE
  legenda gather MY.atlas tokens --model VQGAN --images FOLDER --labels CSV
  legenda gather MY.atlas agreement --model CLIP --images PAIRS.csv
  legenda gather MY.atlas concepts --model FOLDER_OF_LEGENDA_FIT
  legenda report MY.atlas"""


def demo(
    *,
    out: Path = Path("legenda-demo.html"),
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """An atlas of the models that ship, and its report: concepts, agreement, latents, tokens.

    Run it again and it shows what is there; what is missing is made.

    Parameters
    ----------
    out
        The page, a name ending in .html; the atlas lies beside it, in a folder ending in .atlas.
    json
        Results on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    from legenda.cli.gather import ours

    began = perf_counter()
    writable(out, folder=False)
    folder = out.with_suffix(".atlas")
    ours(folder)
    said = made(folder, out)
    if json:
        places = {"atlas": str(folder), "page": str(out)}
        tell({"kind": "demo", **places, "seconds": round(perf_counter() - began, 1), **said})
    else:
        show(told(said))
        show(f"\n{NEXT}\nTo look around and try things on this one: legenda studio {folder}")
    say(f"{folder.resolve()}")
    say(f"{out.resolve()}")
    if open_:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
    return 0


def made(folder: Path, out: Path) -> dict[str, Any]:
    """The atlas and the page; what the atlas holds, in short."""
    from legenda.atlas.store import Atlas
    from legenda.show.report import report
    from legenda.tasks import union_zoo
    from legenda.tasks.atlas_zoo import LITTLE, gather_zoo

    with progress("opening") as step:
        with Atlas(folder, write=True) as atlas:
            studies = gather_zoo(atlas, (), LITTLE, report=step)
            union_zoo.union_zoo(atlas, union_zoo.WHAT, union_zoo.LITTLE, report=step)
            said = plain(atlas, studies)
        step("writing the page", 0, 1)
        with Atlas(folder) as atlas:
            write(out, report(atlas))
    return said
