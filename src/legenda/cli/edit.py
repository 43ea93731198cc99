"""`legenda edit MODEL IMAGE --toward concept=NAME | --set UNIT=VALUE | --steer UNIT=VALUE`."""

import json as encoder
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from legenda.cli.edit_models import concepts_of, judges_of, vq_of
from legenda.cli.edit_request import Request, requested
from legenda.cli.latent_edit import edited, latent_of
from legenda.cli.output import PAGES, _umask, progress, say, show, tell, writable, write
from legenda.errors import BadInput

HEAD = b'{"schema": 1, "kind": "edit"'
"""How every edit.json of legenda begins; a folder without one is of others."""
FILES = ("before.png", "after.png", "difference.png", "edit.json", "index.html")


def in_order(_: Any, tokens: Sequence[Token]) -> list[str]:
    """`--set` and `--steer` in the order in which they were typed, as `set 17=1`."""
    return [f"{(token.keyword or '').lstrip('-')} {token.value}" for token in tokens]


Steps = Annotated[list[str] | None, Parameter(name=("--set", "--steer"), negative="", converter=in_order)]  # fmt: skip # noqa: E501


def edit(
    model: str,
    image: str,
    /,
    *,
    toward: str | None = None,
    by_hand: Steps = None,
    region: str | None = None,
    extractor: str | None = None,
    steps: str | None = None,
    restarts: str | None = None,
    prior_weight: str | None = None,
    search: str | None = None,
    judges: str | None = None,
    seed: str | None = None,
    device: str = "cpu",
    out: Path = Path("legenda-edit"),
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Edit a picture through its tokens or latents: before, after, and what is said of both.

    Parameters
    ----------
    model
        A model with a codebook (zoo:vq) or with latents (zoo:vae): also hf:ORG/NAME, a folder, a
        file of weights, or package.module:factory.
    image
        A picture.
    toward
        concept=NAME: search tokens for the region that a concept model takes for NAME.
    by_hand
        Of tokens: --set UNIT=1 puts one everywhere in the region, UNIT=0 takes it away; --steer
        UNIT=+VALUE moves the region along an entry. Of latents: --set 3=+2 sets one, --steer
        3=+2 adds to it. Both may be given again, and go in order.
    region
        Where: box:TOP,LEFT,HEIGHT,WIDTH in rows and columns of tokens, polygon:X,Y;X,Y;X,Y in
        shares of the picture, a file with a mask, or all. --toward needs one; else it is all.
    extractor
        The concept model that is searched with: one that ships (cnn), or a folder.
    steps
        Steps of the search; more settle it further.
    restarts
        Independent starts of the search, of which the best is taken.
    prior_weight
        How much the search minds tokens that do not go together; 0 is not at all.
    search
        codebook, or embedding, the published rival.
    judges
        Names of some of the judges of zoo:vq, or package.module:factory, a function that
        returns judges by name.
    seed
        Of the search and the control.
    device
        Such as cpu or cuda:0.
    out
        A folder for page, pictures and edit.json; or a name ending in .html, for the page.
    json
        The result on stdout, one JSON object.
    open_
        Show the page in a browser.
    """
    from legenda.show.edit import page

    alone = out.suffix.lower() in PAGES
    writable(out, folder=not alone)
    if not alone:
        untouched(out, Path(image))
    latent = latent_of(model, device)
    if latent is not None:
        return edited(
            latent, model, image, by_hand, seed, out, json, open_, toward=toward, region=region,
            extractor=extractor, steps=steps, restarts=restarts, prior_weight=prior_weight,
            search=search, judges=judges,
        )  # fmt: skip
    asked = requested(
        toward, by_hand, region, seed, extractor=extractor, search=search, steps=steps,
        restarts=restarts, prior_weight=prior_weight,
    )  # fmt: skip
    said = made(model, image, asked, extractor, judges, device)
    said["command"] = command(
        model, image, by_hand, toward=toward, region=region, extractor=extractor, search=search,
        steps=steps, restarts=restarts, prior_weight=prior_weight, judges=judges,
        seed=str(asked.seed), device=None if device == "cpu" else device,
    )  # fmt: skip
    place = write(out, page(said)) if alone else keep(out, said)
    if json:
        tell(said)
    else:
        show(card(said))
    say(f"{place}")
    if open_:
        import webbrowser

        webbrowser.open(place.resolve().as_uri())
    return 0


def made(
    model: str, image: str, asked: Request, extractor: str | None, judges: str | None, device: str
) -> dict[str, Any]:
    """The edit, as a plain dict."""
    import torch

    from legenda import __version__
    from legenda.agreement import named
    from legenda.corpus.images import open_image
    from legenda.corpus.region import parse
    from legenda.show.edit import plain
    from legenda.tasks.edit import rewritten, toward

    picture = open_image(image)
    with progress("opening") as step:
        vq = vq_of(model, device)
        positions, (panel, names) = parse(vq.grid, asked.region), judges_of(vq, judges)
        x = vq.pixels([picture])
        options: dict[str, Any] = {"names": names, "seed": asked.seed}
        if asked.concept is None:
            found = rewritten(vq, x, asked.steps, positions, panel, **options)
        else:
            concepts, options["search"] = concepts_of(vq, extractor), asked.searching(vq)
            found = toward(vq, concepts, x, asked.concept, positions, panel, report=step, **options)
    return plain(
        found, named(image), region=asked.region, device=device, legenda=__version__,
        torch=torch.__version__.split("+")[0],
    )  # fmt: skip


def command(model: str, image: str, by_hand: list[str] | None, **options: str | None) -> str:
    """The command line that makes an edit again."""
    steps = [step.partition(" ")[::2] for step in by_hand or []]
    given = [(name.replace("_", "-"), value) for name, value in options.items() if value is not None]  # fmt: skip # noqa: E501
    words = [word for name, value in [*steps, *given] for word in (f"--{name}", value)]
    if model.startswith("-") or image.startswith("-"):  # what follows `--` is no option
        return shlex.join(["legenda", "edit", *words, "--", model, image])
    return shlex.join(["legenda", "edit", model, image, *words])


def untouched(folder: Path, image: Path) -> None:
    """Refuse a folder in which something would be written over that is read, or is of others."""
    record = folder / "edit.json"
    ours = record.is_file() and record.read_bytes()[: len(HEAD)] == HEAD
    for name in FILES:
        path = folder / name
        if _same(path, image):
            raise BadInput(f"{path} is the picture itself. Choose another --out.")
        if path.suffix != ".html" and path.exists() and not ours:
            raise BadInput(f"{path} is there, and legenda did not write it. Choose another --out.")


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there
        return False


def keep(folder: Path, said: dict[str, Any], page: Any = None) -> Path:
    """Page, pictures and record in a folder, all of them or none; the page comes last."""
    from legenda.show import edit as shown
    from legenda.show.edit import png

    page = page or shown.page

    content: dict[str, bytes | str] = {f"{n}.png": png(said, n) for n in ("before", "after", "difference")}  # fmt: skip # noqa: E501
    content["edit.json"] = encoder.dumps(said, ensure_ascii=False, allow_nan=False) + "\n"
    content["index.html"] = page(said)
    place = folder.resolve()
    above = next(p for p in (place, *place.parents) if p.is_dir())
    passing = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=above))
    try:
        for name in FILES:
            write(passing / name, content[name])
        if place == above:
            for name in FILES:
                (passing / name).replace(place / name)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            passing.chmod(0o777 & ~_umask())
            passing.replace(place)
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    return folder / "index.html"


def card(said: dict[str, Any]) -> Any:
    """What is said in the terminal."""
    from rich.console import Group
    from rich.text import Text

    from legenda.show import edit_words as words

    alone = words.alone(said)
    lines = [Text(words.lead(said), style="bold")]
    lines += [Text(" ".join(alone), style="yellow")] if alone else []
    lines += [Text(words.verdict(said, one)) for one in said["judges"]]
    optimised = words.optimised(said)
    lines += [Text(f"optimised, and proves nothing: {optimised}")] if optimised else []
    return Group(*lines, Text(words.effects(said)))
