"""What a study writes into an atlas: a second of it at a time, all of that second or nothing.

Rows of units, explanations and failures go into one transaction, so that a kill never leaves a
name without its explanation, or an explanation whose unit has not heard of it.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from legenda.atlas.entries import ExplanationEntry, ModelEntry, SetEntry, StudyEntry, UnitEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import (
    cleared,
    end_study,
    put_failure,
    put_model,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import HOLD, MOST, Writer
from legenda.core.explanation import Explanation
from legenda.core.target import Target
from legenda.core.units import Unit, Units
from legenda.errors import LegendaError
from legenda.tasks.run_entries import described, entry_of_model, kind_of, said_of, shown
from legenda.tasks.run_identity import Identity
from legenda.tasks.run_kept import Piece, Placed, pieces

State = Literal["done", "held", "failed", "left"]
NEVER = 1 << 62
"""The writer does not write by itself: rows of units go with it."""


@dataclass(frozen=True)
class Step:
    """What became of one target.

    Parameters
    ----------
    target, key: what it is called, and what it is kept under.
    state: "done" now, "held" by the atlas, "failed" now, or "left" since it failed before.
    why: the reason of a failure.
    """

    target: str
    key: str
    state: State = "held"
    why: str = ""

    def done(self) -> "Step":
        """The same, done now."""
        return replace(self, state="done")

    def failed(self, problem: BaseException) -> "Step":
        """The same, failed now; of what legenda did not foresee, with the place."""
        why = str(problem)
        if not isinstance(problem, LegendaError):
            place = traceback.extract_tb(problem.__traceback__)[-1:]
            where = f" ({Path(place[0].filename).name}, line {place[0].lineno})" if place else ""
            why = f"{type(problem).__name__}: {why}{where}"
        return replace(self, state="failed", why=why)


@dataclass
class Keeper:
    """Where one study is written.

    Parameters
    ----------
    study, rows: its number in the atlas, and those of its units.
    unit_set: the number of the set of its units.
    label: what a unit is called before it has a name, such as "latent".
    placed: for each input, the picture of the atlas that it is.
    """

    atlas: Atlas
    study: int
    unit_set: int
    label: str
    rows: dict[int, int]
    placed: Sequence[Placed]
    explanations: list[ExplanationEntry] = field(default_factory=list)
    units: list[UnitEntry] = field(default_factory=list)
    ended: list[Step] = field(default_factory=list)
    bytes: int = 0

    def __post_init__(self) -> None:
        self.began = self.flushed = time.monotonic()

    @classmethod
    def begun(
        cls, atlas: Atlas, units: Units, of: Identity, entry: StudyEntry,
        targets: Sequence[Target], kind: str, placed: Sequence[Placed], about: ModelEntry | None,
    ) -> "Keeper":  # fmt: skip
        """Say which model, units and study this is; units that are new are unread."""
        kind = kind or kind_of(units)
        label = f"{kind} "
        numbers = [
            t.index for t in targets if isinstance(t, Unit) and t.units.address == units.address
        ]
        with atlas.writing():
            model = put_model(atlas, about or entry_of_model(units.model, kind))
            name = units.dictionary.name
            query = "SELECT card FROM sets WHERE model = ? AND dictionary = ? AND digest = ?"
            card = loaded(atlas.value(query, model, name, of.dictionary) or "{}")
            unit_set = put_set(atlas, SetEntry(model, name, kind, len(units), of.dictionary, card))
            query = "SELECT id FROM units WHERE set_id = ? AND number = ?"
            rows = {n: atlas.value(query, unit_set, n) for n in numbers}
            fresh = [n for n, row in rows.items() if row is None]
            made = put_units(atlas, [UnitEntry(unit_set, n, f"{label}{n}") for n in fresh])
            rows |= dict(zip(fresh, made, strict=True))
            study = put_study(atlas, entry)
        return cls(atlas, study, unit_set, label, rows, placed)

    def waiting(self, steps: Sequence[Step], told: Callable[[Step], None], retry: bool) -> list[int]:  # fmt: skip # noqa: E501
        """The numbers of the targets that are to be done; of the others it is told why not."""
        failures = failures_of(self.atlas, self.study)
        todo = []
        for i, step in enumerate(steps):
            if step.key in self.atlas:
                told(step)
            elif step.target in failures and not retry:
                told(replace(step, state="left", why=failures[step.target]))
            else:
                todo.append(i)
        return todo

    def take(self, step: Step, target: Target, made: Explanation | BaseException) -> None:
        """Take in what became of a target; it is written a second later at the latest."""
        if isinstance(made, Explanation):
            self._explanation(step, target, made)
        self.ended.append(step)
        if time.monotonic() - self.flushed >= HOLD or self.bytes >= MOST:
            self.flush()

    def _explanation(self, step: Step, target: Target, made: Explanation) -> None:
        """One entry; of several inputs one for each, then one for what is said of all of them."""
        number = target.index if isinstance(target, Unit) else None
        unit = None if number is None else self.rows.get(number)
        name = target.label if number is None else f"{self.label}{number}"
        found = pieces(made.evidence, self.placed, name)
        whole = self._entry(step.key, name, unit, target, made)
        if len(found) == 1:
            self.explanations.append(_with(whole, found[0]))
        else:  # the whole comes last: by its key the target is done
            parts = [replace(whole, key=f"{step.key}/{i}", descriptions=(), scores=()) for i in range(len(found))]  # fmt: skip # noqa: E501
            self.explanations += [_with(part, one) for part, one in zip(parts, found, strict=True)]
            self.explanations.append(replace(whole, facts={**whole.facts, "inputs": len(found)}))
        self.bytes += sum(a.nbytes for piece in found for a in piece.entry.arrays.values())
        if unit is not None and number is not None and (made.descriptions or made.scores):
            self.units.append(self._judged(unit, number, made))

    def _entry(
        self, key: str, name: str, unit: int | None, target: Target, made: Explanation
    ) -> ExplanationEntry:
        facts = {"method": made.by}
        sentence = getattr(target, "text", None)
        if isinstance(sentence, str):
            facts["sentence"] = sentence
        return ExplanationEntry(
            key, name, made.by.partition("(")[0], unit, None, None,
            tuple(map(said_of, made.descriptions)), tuple(map(shown, made.scores)), facts,
        )  # fmt: skip

    def flush(self) -> None:
        """Write what is held, all at once; if that fails, it stays held."""
        if self.ended:
            before = failures_of(self.atlas, self.study)
            writer = Writer(self.atlas, self.study, hold=inf, most=NEVER)
            for entry in self.explanations:
                writer.add(entry)
            with self.atlas.writing():
                put_units(self.atlas, self.units)
                for step in self.ended:
                    if step.state == "failed":
                        put_failure(self.atlas, self.study, step.target, step.why)
                    elif step.target in before:
                        cleared(self.atlas, self.study, step.target)
                writer.flush()
            self.explanations, self.units, self.ended, self.bytes = [], [], [], 0
        self.flushed = time.monotonic()

    def close(self, worked: bool, whole: bool) -> None:
        """Write what is held; if all is done, and it was not said yet, say that it is."""
        self.flush()
        said = self.atlas.value("SELECT ended FROM studies WHERE id = ?", self.study)
        if whole and (worked or not said):
            end_study(self.atlas, self.study, time.monotonic() - self.began)

    def _judged(self, row: int, number: int, made: Explanation) -> UnitEntry:
        """What is now known of a unit: what another study said of it stays where this is silent."""
        query = """SELECT u.*, coalesce(c.state, u.state) AS own FROM units u
          LEFT JOIN corrections c ON c.unit = u.id WHERE u.id = ?"""
        old: Any = self.atlas.one(query, row)
        entry = UnitEntry(
            self.unit_set, number, old["label"], old["own"], old["said"], old["why"],
            old["certainty"], old["low"], old["high"], old["score"], loaded(old["facts"]),
        )  # fmt: skip
        if made.scores:
            first = made.scores[0]
            facts = {**entry.facts, "score": first.name}
            entry = replace(entry, score=first.value if isfinite(first.value) else None, facts=facts)  # fmt: skip # noqa: E501
        return described(entry, made.descriptions)


def _with(entry: ExplanationEntry, piece: Piece) -> ExplanationEntry:
    """An explanation with its evidence, and the picture that it is about."""
    facts = {**entry.facts, **piece.facts}
    return replace(entry, picture=piece.placed.picture, evidence=piece.entry, facts=facts)


def failures_of(atlas: Atlas, study: int) -> dict[str, str]:
    """What failed in a study, with the reasons."""
    rows = atlas.all("SELECT target, reason FROM failures WHERE study = ?", study)
    return {row["target"]: row["reason"] for row in rows}
