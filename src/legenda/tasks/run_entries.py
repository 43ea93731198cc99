"""What a study knows of a model, a unit or a score, as the rows of an atlas."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import Any

from legenda.atlas.entries import ModelEntry, Said, UnitEntry
from legenda.core.codebook import Codebook
from legenda.core.dictionary import Identity
from legenda.core.explanation import Description, Score
from legenda.core.units import Units
from legenda.tasks.atlas_models import model_entry


def described(entry: UnitEntry, descriptions: Sequence[Description]) -> UnitEntry:
    """A unit after it was described: named by the first who says something, else silent."""
    if not descriptions:
        return entry
    spoken = [d for d in descriptions if d.text and d.abstained is None]
    one = spoken[0] if spoken else descriptions[0]
    state = "named" if spoken else getattr(one, "state", "") or "abstained"
    sure = said_of(one)
    name = getattr(one, "name", "") or one.text
    return replace(
        entry, state=state, said=name if spoken else "", why="" if spoken else sure.abstained,
        certainty=sure.certainty, low=sure.low, high=sure.high,
    )  # fmt: skip


def said_of(one: Description) -> Said:
    """A candidate; how surely, where the description says it."""
    certainty, low, high = (getattr(one, part, None) for part in ("certainty", "low", "high"))
    return Said(one.text, one.by, certainty, low, high, one.abstained or "")


def shown(score: Score) -> Score:
    """A score whose interval is known, or is not a number: of one input there is none."""

    def known(ends: tuple[float, float] | None) -> tuple[float, float] | None:
        return ends if ends is None or all(map(isfinite, ends)) else (nan, nan)

    interval = known(score.interval) or (nan, nan)
    return replace(score, interval=interval, control_interval=known(score.control_interval))


def entry_of_model(model: Any, kind: str) -> ModelEntry:
    """A model at the site of its units; the reference without the site, where it names one."""
    ref, site = str(model.ref), "latents" if kind == "latent" else ""
    for place in ("site", "block"):
        at = getattr(model, place, None)
        if isinstance(at, str | int) and ref.endswith(f"@{at}"):
            ref, site = ref.removesuffix(f"@{at}"), str(at)
    return model_entry(model, site, ref)


def kind_of(units: Units) -> str:
    """What units of this dictionary are, one of `schema.KINDS`."""
    dictionary = units.dictionary
    if isinstance(dictionary, Codebook):
        return "token"
    if isinstance(dictionary, Identity):
        return "latent" if hasattr(units.model, "decode") else "neuron"
    return "direction" if hasattr(dictionary, "names") else "concept"
