"""`legenda gather ATLAS [latents | tokens | concepts | agreement | zoo]`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import progress, say, show, tell
from legenda.errors import BadInput, LegendaError, near

WHAT = ("zoo", "latents", "tokens", "concepts", "agreement")
TAKES = {
    "zoo": (), "latents": ("model", "images"), "concepts": ("model", "images"),
    "tokens": ("model", "images", "labels"), "agreement": ("model", "images", "text"),
}  # fmt: skip
"""Options that each of them knows."""


def gather(
    atlas: Path,
    what: str = "zoo",
    /,
    *,
    model: str | None = None,
    images: str | None = None,
    labels: Path | None = None,
    text: str | None = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    device: str = "cpu",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Bring what models can say into one atlas: latents, tokens, concepts, agreement.

    Run it again and only what is missing is done. Without a model, those that ship are asked.

    Parameters
    ----------
    atlas
        The folder of an atlas; it is made where there is none.
    what
        latents, tokens, concepts or agreement; or zoo, all four of the models that ship.
    model
        A VAE or diffusion model (latents), a model with a codebook (tokens), a folder of
        `legenda fit` (concepts), or a dual encoder (agreement).
    images
        Pictures: that rows begin at (latents), that tokens are read in, that concepts were found
        in, or that are explained. For agreement a file of pairs, too.
    labels
        For tokens: what each picture shows, a .csv, .tsv or .jsonl file.
    text
        For agreement: a sentence for all pictures, where no file of pairs brings them.
    quick
        Less of everything, in a minute or two.
    device
        Such as cpu or cuda:0.
    json
        What the atlas holds on stdout, one JSON object.
    """
    from legenda.atlas.store import Atlas
    from legenda.cli.gather_words import plain, told

    given = {"model": model, "images": images, "labels": labels, "text": text}
    checked(what, given)
    ours(atlas)
    with Atlas(atlas, write=True) as held, progress("opening") as step:
        studies, code = gathered(held, what, given, quick, device, step)
        said = plain(held, studies)
    if json:
        tell({"kind": "gather", "atlas": str(atlas), **said})
    else:
        show(told(said))
    say(f"{atlas}")
    return code


def checked(what: str, given: dict[str, Any]) -> None:
    """Refuse what there is not, and options that belong to something else."""
    if what not in WHAT:
        raise BadInput(f"gather takes {', '.join(WHAT)}; it got {what!r}.{near(what, WHAT)}")
    for name, value in given.items():
        if value is not None and name not in TAKES[what]:
            knows = [way for way in WHAT if name in TAKES[way]]
            raise BadInput(
                f"--{name} is about {' and '.join(knows)}, not about {what}. Leave it out, or say "
                f"`legenda gather ATLAS {knows[0]}`."
            )
    if given["model"] is None:
        others = [name for name, value in given.items() if value is not None]
        if others:
            raise BadInput(
                f"--{others[0]} needs the --model that it is for; without one, the models that "
                "ship are asked about pictures of their own."
            )
        return
    needs = {"tokens": ("images", "labels"), "agreement": ("images",)}
    for name in needs.get(what, ()):
        if given[name] is None:
            verb = "needs" if what == "agreement" else "need"
            raise BadInput(f"{what} of a model of yours {verb} --{name} as well. Give it.")


def ours(place: Path) -> None:
    """Refuse a folder with something of others in it."""
    from legenda.atlas.place import others

    if others(place):
        raise BadInput(f"{place} is there, and is no atlas. Choose a folder of its own.")


def gathered(
    atlas: Any, what: str, given: dict[str, Any], quick: bool, device: str, step: Any
) -> tuple[dict[str, int], int]:
    """The studies by name, and the exit code: 2 where some picture could not be read."""
    from legenda.models.opening import checked_device
    from legenda.tasks.atlas_zoo import LITTLE, WHOLE, gather_zoo

    checked_device(device)
    if given["model"] is None:
        some = () if what == "zoo" else (what,)
        amount = LITTLE if quick else WHOLE
        return gather_zoo(atlas, some, amount, device=device, report=step), 0
    if what == "agreement":
        study, code = agreement(atlas, given, quick, device, step)
        return {what: study}, code
    ways = {"latents": latents, "concepts": concepts, "tokens": tokens}
    return {what: ways[what](atlas, given, quick, device, step)}, 0


def latents(atlas: Any, given: dict[str, Any], quick: bool, device: str, step: Any) -> int:
    """The latents of a model."""
    from legenda.corpus.pictures import from_source
    from legenda.tasks.atlas_latents import gather_latents
    from legenda.tasks.latent_settings import LatentSettings

    how = LatentSettings(rows=12, pool=128) if quick else LatentSettings()
    source = None if given["images"] is None else from_source(given["images"])
    return gather_latents(atlas, given["model"], images=source, settings=how, device=device, report=step)  # fmt: skip # noqa: E501


def concepts(atlas: Any, given: dict[str, Any], quick: bool, device: str, step: Any) -> int:
    """The concepts of a folder."""
    from legenda.tasks.atlas_concepts import ConceptSettings, gather_concepts

    how = ConceptSettings(4, 1, 12) if quick else ConceptSettings()
    return gather_concepts(atlas, given["model"], images=given["images"], settings=how, device=device, report=step)  # fmt: skip # noqa: E501


def tokens(atlas: Any, given: dict[str, Any], quick: bool, device: str, step: Any) -> int:
    """The tokens of a model."""
    from legenda.corpus.labels import read_labels
    from legenda.tasks.atlas_tokens import QUICK, TokenSettings, gather_tokens
    from legenda.tasks.atlas_zoo import working

    read = read_labels(given["labels"], given["images"])
    with working(atlas) as work:
        return gather_tokens(
            atlas, given["model"], read, settings=QUICK if quick else TokenSettings(), work=work,
            device=device, report=step,
        )  # fmt: skip


def agreement(
    atlas: Any, given: dict[str, Any], quick: bool, device: str, step: Any
) -> tuple[int, int]:
    """Pictures and sentences; one that cannot be read is told, and the others go on."""
    from legenda.corpus.images import open_image
    from legenda.corpus.pairs import pairs_of
    from legenda.tasks.atlas_agreement import gather_agreement
    from legenda.tasks.atlas_concept_pictures import Shown

    by_image: dict[Path, list[str]] = {}
    for pair in pairs_of(given["images"], given["text"]):
        by_image.setdefault(pair.image, []).append(pair.text)
    pictures, sentences, why = [], [], ""
    for place, said in by_image.items():
        try:
            pictures.append(Shown(open_image(place), place.name))
        except LegendaError as error:
            why = str(error)
            say(f"legenda: {why}")
        else:
            sentences.append(list(dict.fromkeys(said)))
    if not pictures:
        raise BadInput(why or f"{given['images']} holds no picture. Give some.")
    study = gather_agreement(
        atlas, given["model"], pictures, sentences, randoms=4 if quick else 16, device=device,
        report=step,
    )  # fmt: skip
    return study, 2 if why else 0
