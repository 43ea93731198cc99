"""What a study that was written down comes to: its units, its methods, and jobs for the loop.

A study of the kind explain is done picture by picture, so that one that cannot be read is left out;
one of units with all pictures at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from legenda.atlas.entries import ModelEntry, PictureEntry
from legenda.core.target import Logit, Similarity
from legenda.core.units import Units
from legenda.corpus.pictures import Pictures
from legenda.corpus.survey import survey_moments
from legenda.errors import BadInput, LegendaError, Missing, Unsupported
from legenda.models.dual import Dual
from legenda.tasks.atlas_agreement import about
from legenda.tasks.atlas_pictures import frame_of, picture_entry
from legenda.tasks.latent_describers import ByMeasure
from legenda.tasks.latent_ground import grounded
from legenda.tasks.latent_settings import CERTAIN, FEWEST, LatentSettings
from legenda.tasks.run_file import EXPLAIN, UNITS, RunFile
from legenda.tasks.run_gather import gathering
from legenda.tasks.run_identity import weights_digest
from legenda.tasks.run_methods import (
    MOVES,
    describes,
    explain_name,
    explain_of,
    moved,
    scores_of,
    settings_of,
)
from legenda.tasks.run_models import BothTowers, Opened, dictionary_of, opened
from legenda.tasks.run_pictures import pictures_of
from legenda.tasks.run_words import Answers

POOL = 256
"""Pictures of a model that say how its attributes vary."""
MOST = 64
"""Pictures in which units are explained all at once, unless more are asked for."""
SURVEYED = 32
"""Pictures of a study that say how its model's acts vary, where the model does not say it."""


class Seen(NamedTuple):
    """A picture: as the model takes it, as it is kept, and where the grid lies on what is kept."""

    x: Tensor
    kept: PictureEntry
    frame: list[float]


class Job(NamedTuple):
    """Some targets on the same input, which is these pictures; `why` says why there is none."""

    name: str
    x: Any = None
    targets: Sequence[Any] = ()
    seen: tuple[Seen, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """A study of the kinds explain and units, before it is begun."""

    units: Units
    explain: Any
    describe: Sequence[Any]
    score: Sequence[Any]
    jobs: Callable[[], Iterator[Job]]
    total: int
    model: ModelEntry | None = None


def checked(run: RunFile) -> None:
    """Refuse methods and settings before anything is opened."""
    kind = run.said.study.kind
    if kind not in (EXPLAIN, UNITS):
        gathering(run)
        return
    moved(run) if explain_name(run) in MOVES else explain_of(run)
    scores_of(run)
    describes(run)
    what = run.said.study
    if kind == UNITS and explain_name(run) not in MOVES and what.images is None:
        raise run.refused(("explain", "method"), f"{explain_name(run)} explains pictures, and none are named. Name images.")  # fmt: skip # noqa: E501


def planned(run: RunFile) -> Plan:
    """Open the model and the pictures of a study."""
    checked(run)
    what, found = run.said.study, opened(run)
    seen, most = None, what.limit or (None if what.kind == EXPLAIN else MOST)
    if what.images is not None:
        seen = pictures_of(run.beside(what.images), most, what.seed)
    return _explains(run, found, seen) if what.kind == EXPLAIN and seen else _units(run, found, seen)  # fmt: skip # noqa: E501


def _explains(run: RunFile, found: Opened, seen: Pictures) -> Plan:
    """Sentences or classes, picture by picture."""
    what, whole = run.said.study, found.whole
    targets = what.targets if isinstance(what.targets, list) else None
    numbers = targets is not None and isinstance(targets[0], int)
    if not numbers and not isinstance(whole, Dual):
        raise Unsupported("A study of sentences", "a dual encoder", what.model, "Give numbers of classes as targets.")  # fmt: skip # noqa: E501
    if numbers:
        how = explain_of(run, moments=_moments(run, found, seen))
        goals: Any = [Logit(int(one)) for one in targets or ()]
    else:
        how, goals = _towers(run, whole), targets
        if goals is not None:
            embed = whole.embed_text(goals)
            goals = [Similarity(one, embed[i]) for i, one in enumerate(goals)]

    def jobs() -> Iterator[Job]:
        for i in range(len(seen)):
            yield _job(found, seen, i, goals)

    total = len(seen) * (len(goals) if goals is not None else 1)
    entry = about(whole) if isinstance(whole, Dual) else None
    return Plan(found.units(), how, (), scores_of(run), jobs, total, entry)


def _job(found: Opened, seen: Pictures, i: int, goals: Any) -> Job:
    """One picture, and what is explained in it."""
    name = seen.key(i)
    try:
        one = _seen(found, seen, i)
        if goals is None:
            caption = one.kept.caption
            if not caption:
                raise BadInput(f"{name} has no caption. Give sentences as targets.")
            goals = [Similarity(caption, found.whole.embed_text([caption])[0])]
        return Job(name, one.x, goals, (one,))
    except LegendaError as problem:
        return Job(name, None, goals or (), why=str(problem))


def _seen(found: Opened, seen: Pictures, i: int) -> Seen:
    """Picture i, read."""
    picture = seen.open(i)
    x = found.see([picture])
    kept = picture_entry(picture, seen.key(i), seen.label(i) or "")
    whole = [0.0, 0.0, float(kept.width), float(kept.height)]
    return Seen(x, kept, frame_of(found.view, picture.size, kept) if found.view else whole)


def _towers(run: RunFile, dual: Dual) -> BothTowers:
    """The method of each tower, with what acts look like at its site."""
    from legenda.agreement import IMAGE_ONLY, WORDS_BY, method_for
    from legenda.references import reference_for

    reference, name, given = reference_for(dual, [], []), explain_name(run), settings_of(run)
    image = method_for(dual, "image", name, reference, given)
    words, own = (WORDS_BY, {}) if name in IMAGE_ONLY else (name, given)
    text = method_for(dual, "text", words, reference, own)
    return BothTowers(image, text, weights_digest(dual.text), dual)


def _moments(run: RunFile, found: Opened, seen: Pictures) -> Any:
    """What acts look like, in the first pictures that can be read; where the method asks."""
    if not any(f.name == "moments" for f in fields(explain_of(run))):
        return None
    read, why = [], "there are none"
    for i in range(len(seen)):
        try:
            read.append(found.see([seen.open(i)]))
        except LegendaError as problem:
            why = str(problem)
        if len(read) == SURVEYED:
            break
    if not read:
        raise Missing(f"none of the pictures of the study can be looked at: {why}")
    return survey_moments(found.model, [torch.cat(read)], f"{len(read)} pictures of the study")


def _units(run: RunFile, found: Opened, seen: Pictures | None) -> Plan:
    """Units, moved or explained, in all pictures at once."""
    what = run.said.study
    units = found.units(dictionary_of(run, found))
    numbers = list(range(len(units))) if what.targets in (None, "all") else what.targets
    for one in numbers or ():
        if not 0 <= int(one) < len(units):
            raise run.refused(("study", "targets"), f"unit {one} is not in {units.address}, which has {len(units)} units, numbered from 0.")  # fmt: skip # noqa: E501
    read = () if seen is None else tuple(_seen(found, seen, i) for i in range(len(seen)))
    x = torch.cat([one.x for one in read]) if read else None
    moves = explain_name(run) in MOVES
    how = moved(run) if moves else explain_of(run, moments=_moments(run, found, seen) if seen else None)  # fmt: skip # noqa: E501
    if moves and x is not None and len(x) < how.rows:
        raise run.refused(("study", "images"), f"{how.rows} rows begin at as many pictures; there are {len(x)}. Give more, or ask for fewer rows.")  # fmt: skip # noqa: E501
    targets = [units[int(one)] for one in numbers or ()]
    job = Job(units.address, x, targets, () if moves else read)
    return Plan(units, how, _words(run, units, x), scores_of(run), lambda: iter([job]), len(targets))  # fmt: skip # noqa: E501


def _words(run: RunFile, units: Units, x: Any) -> list[Answers]:
    """Who puts sheets into words."""
    from legenda.describe.measured import of_pictures

    given = describes(run)
    if given is None:
        return []
    seed = run.said.study.seed
    threshold = float(given.get("threshold", CERTAIN))
    pool = int(given.get("pool", POOL if x is None else max(FEWEST, len(x))))
    ground = grounded(units, LatentSettings(pool=pool, rows=2, fresh=2, seed=seed), x)
    more = {k: v for k, v in given.items() if k not in ("threshold", "pool")}
    return [Answers(ByMeasure(of_pictures(ground.values, **more)), threshold, seed)]
