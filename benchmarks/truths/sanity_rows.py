"""Sanity rows: does a map depend on the weights, on the sentence, and on nothing else?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Row
from benchmarks.truths.contest import Cases, methods, shifted
from legenda.core.interval import bootstrap
from legenda.core.target import Similarity
from legenda.explain.random import Random
from legenda.score.cascade import CascadingRandomisation
from legenda.score.sanity import CaptionSwap, Gibberish, SeedStability, nonsense

CASCADED = ("m2ib", "gradient × input", "grad-cam", "occlusion 3×3", "edge map")
LIMIT = 0.5
"""A map that still correlates so much with a randomised model's ignores the model."""


def sanity_rows(cases: Cases, say: Callable[[str], None], count: int) -> list[Row]:
    """Caption swap, gibberish, seed stability for all methods; the cascade for some."""
    some = Cases(
        cases.dual, cases.x[:count], cases.texts[:count], cases.masks[:count], cases.named[:count]
    )
    target = some.target
    swapped = shifted(target)
    gibberish = Similarity("nonsense", some.dual.embed_text(nonsense(count)))
    rows: list[Row] = []
    made = methods(some.dual)
    for name, method in made.items():
        if name.startswith(("kernel shap", "rise", "occlusion 1×1")):
            continue  # they take minutes; their maps are in the main table
        found = method(some.units, some.x, target)
        blank = Random(seed=7)(some.units, some.x, target)
        for label, measure in (
            ("caption swap", CaptionSwap(method, swapped)),
            ("gibberish caption", Gibberish(method, gibberish)),
        ):
            each = measure.each(some.units, some.x, target, found)
            control = float(measure.each(some.units, some.x, target, blank).mean())
            ok = float(each.mean()) < LIMIT if name == "m2ib" else None
            rows.append(
                row(f"{label}: {name}", each, control, "maps must change with the caption", ok)
            )
        if hasattr(method, "seed"):
            stable = SeedStability(tuple(replace(method, seed=seed) for seed in (1, 2)))
            each = stable.each(some.units, some.x, target, found)
            control = float(stable.each(some.units, some.x, target, blank).mean())
            ok = float(each.mean()) > 0.8 if name == "m2ib" else None
            rows.append(
                row(f"seed stability: {name}", each, control, "the same map for another seed", ok)
            )
    few = Cases(some.dual, some.x[:12], some.texts[:12], some.masks[:12], some.named[:12])
    for name in CASCADED:
        rows += cascade(few, name, made[name])
        say(f"cascade: {name}")
    return rows


def cascade(cases: Cases, name: str, method: Any) -> list[Row]:
    """Likeness to the map of ever more randomised weights, from the output down."""
    if hasattr(method, "moments"):  # statistics of the trained model would leak into the others
        method = replace(method, moments=None)
    measure = CascadingRandomisation(method)
    target = cases.target
    found = method(cases.units, cases.x, target)
    each = measure.each(cases.units, cases.x, target, found)
    blank = Random(seed=7)(cases.units, cases.x, target)
    control = float(measure.each(cases.units, cases.x, target, blank).mean())
    ok = float(each.mean()) < LIMIT if name == "m2ib" else None
    return [
        row(
            f"cascading weight randomisation: {name}",
            each,
            control,
            "maps must change with the weights",
            ok,
        )
    ]


def row(name: str, each: Tensor, control: float, goal: str, ok: bool | None) -> Row:
    """A correlation with its interval."""
    each = torch.nan_to_num(each.detach().float())
    return Row(
        name, float(each.mean()), "correlation", goal, ok, len(each), bootstrap(each), control
    )
