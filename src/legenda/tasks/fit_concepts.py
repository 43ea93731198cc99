"""Fit a dictionary to the activations of a model on many pictures; in pieces that are kept.

Activations are recorded once, in 16 bits, some positions of each picture, and read again in every
epoch: computing them anew would take about ten times longer. Pictures that are held out are
measured with what was fitted, beside a random dictionary of as many units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from legenda.core.explanation import Score
from legenda.corpus.picture_rows import positions_of, record_rows
from legenda.corpus.pictures import Pictures
from legenda.corpus.rows import RecordRows
from legenda.corpus.stream import acts_of, evenly, grouped, groups_of
from legenda.dictionaries.course import fit
from legenda.dictionaries.random_atoms import RandomAtoms
from legenda.dictionaries.storage import FILE, About, save_dictionary
from legenda.errors import BadInput
from legenda.score.reconstruction import Reconstruction, Tally, merged, reconstruction, tally
from legenda.tasks.concept_folder import ConceptFolder, removed
from legenda.tasks.learners import AT_ONCE, learner_of
from legenda.train.loop import Schedule

Report = Callable[[str, int, int, dict[str, Any]], None]
SAMPLE = 200_000
"""Rows that are looked at by learners that see them at once."""
MEASURED = 512
"""Held-out pictures that are measured, at most."""


@dataclass(frozen=True)
class FitSettings:
    """How a dictionary is fitted.

    Parameters
    ----------
    kind: the paper, by its short name (`learners.KINDS`).
    units: how many; more split what they find more finely.
    k: units that are on at a position, where the paper fixes it.
    groups: sizes of the groups of a matryoshka dictionary; None: those of CFM.
    price: of sparsity, where a paper has a penalty instead of k.
    steps: of training; more fit closer.
    batch: positions per step; more make steps steadier and slower.
    lr: learning rate.
    per_image: positions that are recorded of each picture; None: all.
    every: steps between checkpoints.
    seed: of everything random.
    """

    kind: str = "matryoshka"
    units: int = 1024
    k: int = 12
    groups: tuple[int, ...] | None = None
    price: float = 1e-2
    steps: int = 3000
    batch: int = 2048
    lr: float = 1e-3
    per_image: int | None = 64
    every: int = 250
    seed: int = 0

    def learner(self) -> Any:
        """The learner that they name, or the reason why there is none."""
        if min(self.steps, self.batch, self.every) < 1 or not self.lr > 0:
            raise BadInput(
                f"a fit needs steps, batch and every of 1 or more, and a rate above 0; it got "
                f"{self.steps}, {self.batch}, {self.every} and {self.lr}."
            )
        after = min(10_000_000, max(10 * self.batch, self.steps * self.batch // 20))
        return learner_of(self.kind, self.units, self.k, self.groups, self.price, after, self.batch)

    def plan(self) -> Schedule:
        """The schedule of a stepwise learner."""
        return Schedule(
            self.steps, self.lr, warmup=min(200, self.steps // 10), decay=0.25,
            weight_decay=0.0, betas=(0.9, 0.999), fused=True,
        )  # fmt: skip


@dataclass(frozen=True)
class FitCost:
    """What a fit will take: pictures, rows, and bytes of recorded activations."""

    pictures: int
    rows: int
    bytes: int
    epochs: float


def fit_cost(model: Any, pictures: Pictures, how: FitSettings) -> FitCost:
    """What a fit will take; one blank picture goes through the model."""
    how.learner()
    positions, width = positions_of(model, "a fit")
    kept = min(how.per_image or positions, positions)
    rows = kept * len(pictures)
    checked_count(rows, how)
    steps = 0 if how.kind in AT_ONCE else how.steps
    return FitCost(len(pictures), rows, rows * (width * 2 + 6), steps * how.batch / rows)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A dictionary, where it was fitted, and how well it does on pictures that were held out.

    `refused` are the pictures that could not be read, each with the reason; `forgotten` are the
    parts of the folder that told of another dictionary and are gone.
    """

    dictionary: Any
    about: About
    scores: tuple[Score, ...]
    refused: tuple[tuple[str, str], ...] = ()
    forgotten: tuple[str, ...] = ()


def fit_concepts(
    folder: ConceptFolder,
    model: Any,
    pictures: Pictures,
    held: Pictures,
    how: FitSettings,
    report: Report = lambda what, done, total, figures: None,
    keep_rows: bool = False,
) -> Fitted:
    """Fit, measure on held-out pictures, and write the dictionary into the folder."""
    learner, place = how.learner(), folder.path / "rows"
    rows = _recorded(place, model, pictures, how, report)
    try:
        dictionary = _fitted(folder, learner, rows, how, report)
        dictionary.name = how.kind
        both = (held, pictures)
        found, lost = measured(dictionary, model, both, sample_of(rows, how), how, report)
    finally:
        rows.close()
    scores = (found.fvu, found.l0, found.dead, found.cosine)
    figures = {s.name.replace(" ", "_"): float(s.value) for s in scores}
    about = About(str(model.ref), "", pictures.digest, rows.count, figures)
    forgotten = _kept(folder, dictionary, about)
    if not keep_rows:
        removed(place)
    for left in folder.path.glob("*.training.safetensors"):
        left.unlink()
    refused = tuple(dict((*rows.refused, *lost)).items())
    return Fitted(dictionary, about, scores, refused, forgotten)


def _recorded(
    place: Path, model: Any, pictures: Pictures, how: FitSettings, report: Report
) -> RecordRows:
    """The activations of all pictures."""
    positions, _ = positions_of(model, "a fit")
    per_image = None if how.per_image is None or how.per_image >= positions else how.per_image
    checked_count((per_image or positions) * len(pictures), how)
    record = record_rows(
        model, pictures, place, per_image, seed=how.seed,
        report=lambda done, total: report("activations", done, total, {}),
    )  # fmt: skip
    rows = RecordRows(record)
    checked_count(rows.count, how)
    return rows


def _kept(folder: ConceptFolder, dictionary: Any, about: About) -> tuple[str, ...]:
    """Write the dictionary; where it is another than before, what told of that one goes."""
    fresh, place = folder.path / f".fresh.{FILE}", folder.path / FILE
    save_dictionary(fresh, dictionary, about)
    forgotten = () if _identity(fresh) == _identity(place) else tuple(folder.forget())
    fresh.replace(place)
    return forgotten


def _identity(place: Path) -> str | None:
    """Stands for the content of a dictionary's file; None where there is none that is whole."""
    try:
        with safe_open(place, "pt") as file:
            return (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None


def checked_count(count: int, how: FitSettings) -> None:
    """Refuse to fit more units than there are rows."""
    if count < how.units:
        raise BadInput(
            f"{how.units} units need {how.units} activations or more; there are {count}. Give more "
            "pictures, keep more positions of each, or ask for fewer units."
        )


def sample_of(rows: RecordRows, how: FitSettings) -> Tensor:
    """Rows by lot, for what looks at them at once."""
    return rows.batch(0, min(rows.count, SAMPLE), how.seed)


def _fitted(
    folder: ConceptFolder, learner: Any, rows: RecordRows, how: FitSettings, report: Report
) -> Any:
    if how.kind in AT_ONCE:
        return learner.fit(sample_of(rows, how), how.seed)

    def told(step: int, figures: dict[str, Any]) -> None:
        report("fitting", step + 1, how.steps, figures)

    made = fit(
        {"dictionary": learner}, rows, how.plan(), batch=min(how.batch, rows.count),
        seed=how.seed, folder=folder.path, every=how.every, report=told,
    )  # fmt: skip
    return made["dictionary"]


@torch.no_grad()
def measured(
    dictionary: Any, model: Any, sources: Sequence[Pictures], sample: Tensor, how: FitSettings,
    report: Report,
) -> tuple[Reconstruction, list[tuple[str, str]]]:  # fmt: skip
    """Reconstruction of the first source that has pictures, beside as many random directions.

    With it go the pictures that could not be read, and why.
    """
    k = min(how.k, how.units)
    random = RandomAtoms(how.units, k).fit(sample[: max(how.units, 4096)], how.seed)
    mine, its = [], []
    refused: list[tuple[str, str]] = []
    for pictures in sources:
        parts = grouped(evenly(len(pictures), MEASURED))
        for done, group in enumerate(groups_of(model, pictures, parts, False)):
            refused += group.refused.items()
            for acts in acts_of(model, group):
                mine.append(_tallied(dictionary, acts[None]))
                its.append(_tallied(random, acts[None]))
            report("measuring", done + 1, len(parts), {})
        if mine:
            break
    return reconstruction(merged(mine), merged(its), how.seed), refused


def _tallied(dictionary: Any, acts: Tensor) -> Tally:
    codes = dictionary.encode(acts)
    return tally(acts, dictionary.decode(codes), codes)
