"""`--atlas` of commands that show results: they are kept in an atlas as well, as `gather` does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from legenda.cli.output import Progress
from legenda.errors import BadInput

RANDOMS = 16
"""Shuffled maps beside those that are scored, as `gather` has them."""


@contextmanager
def keeping(place: Path | None) -> Iterator[Any]:
    """An atlas to keep results in; None where none was asked for.

    It is opened before the work, so that a folder that cannot be used is said at once.
    """
    from legenda.atlas.store import Atlas
    from legenda.cli.gather import ours

    if place is None:
        yield None
        return
    ours(place)
    with Atlas(place, write=True) as atlas:
        yield atlas


def latents(
    atlas: Any, study: Any, opened: tuple[Any, Any, Any], images: str | None, by: str,
    only: Sequence[int] | None, device: str, command: str, began: float, report: Progress,
) -> int:  # fmt: skip
    """A study of latents that was just made; the number of it in the atlas."""
    from legenda.corpus.pictures import from_source
    from legenda.tasks.atlas_latents import Opened, keep
    from legenda.tasks.run_entries import kind_of

    units, how, source = opened
    pictures = None if images is None else from_source(images)
    what = Opened(units, kind_of(units), how, source)
    return keep(atlas, what, study, pictures, by, only, device, began, command, report)


def said_by(describer: str, words: str | None, asks: Any) -> str:
    """What stands for a describer in the identity of a study."""
    lmm = asks.lmm
    if lmm is not None:
        asked = {"prompt": lmm.prompt, "samples": lmm.samples, "temperature": lmm.temperature}
        asked |= {"tied to": lmm.tied_to} if lmm.tied_to else {}
        describer = f"{describer} {lmm.chat.model}, {asked}"
    return f"{describer}, words of {words or 'zoo:photos'}" if words or describer == "words" else describer  # fmt: skip # noqa: E501


def whole_method(method: str, given: Mapping[str, Any]) -> None:
    """Refuse what an atlas of agreements does not hold, before any work is done."""
    from legenda.catalog import canonical

    other = [f"--{name}" for name, value in given.items() if value not in (None, [], {})]
    if canonical("explain", method) != "m2ib":
        other.insert(0, f"--method {method}")
    if other:
        raise BadInput(
            f"--atlas keeps maps of m2ib as it is by default; it got {' and '.join(other)}. Leave "
            "that out, or write a study for `legenda run`, which keeps any method."
        )


def agreements(
    atlas: Any, model: str, pairs: Sequence[Any], score: bool, device: str, report: Progress
) -> int:
    """Pairs as `gather agreement` keeps them: explained once more, beside shuffled maps."""
    from legenda.corpus.images import open_image
    from legenda.tasks.atlas_agreement import gather_agreement
    from legenda.tasks.atlas_concept_pictures import Shown

    by_image: dict[Path, list[str]] = {}
    for pair in pairs:
        by_image.setdefault(pair.image, []).append(pair.text)
    pictures = [Shown(open_image(place), place.name) for place in by_image]
    sentences = [list(dict.fromkeys(some)) for some in by_image.values()]
    return gather_agreement(
        atlas, model, pictures, sentences, randoms=RANDOMS if score else 0, curves=score,
        device=device, report=report,
    )  # fmt: skip


def concepts(
    atlas: Any, folder: str, pictures: Sequence[tuple[Any, str]], device: str, report: Progress
) -> int:
    """The concepts of a folder, and pictures that were read."""
    from legenda.tasks.atlas_concept_pictures import Shown
    from legenda.tasks.atlas_concepts import gather_concepts

    shown = [Shown(picture, name) for picture, name in pictures]
    return gather_concepts(atlas, folder, shown=shown, device=device, report=report)


def no_atlas(place: str) -> None:
    """Refuse an atlas where a folder of concepts is asked for."""
    from legenda.atlas.place import there
    from legenda.atlas.schema import FILE

    if there(Path(place) / FILE):
        raise BadInput(
            f"{place} is an atlas, which keeps results; --atlas names whose concepts are looked "
            f"for, such as zoo:photos. Say --into {place} to keep what is found."
        )
