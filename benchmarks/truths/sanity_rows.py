"""Sanity rows: does a map depend on the weights, on the sentence, and on nothing else?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Row, quick
from benchmarks.truths.contest import Cases, methods, shifted
from legenda.core.interval import bootstrap
from legenda.core.target import Similarity
from legenda.explain.random import Random
from legenda.score.cascade import CascadingRandomisation
from legenda.score.sanity import CaptionSwap, Gibberish, SeedStability, nonsense

CASCADED = ("m2ib", "gradient × input", "grad-cam", "occlusion 3×3", "edge map")
MANY = ("kernel shap", "rise", "occlusion")
"""Methods of hundreds of passes per map."""
LIMIT = 0.5
"""A map that still correlates so much with a randomised model's ignores the model."""
CAPTION, SEEDS = "maps must change with the caption", "the same map for another seed"


def sanity_rows(cases: Cases, say: Callable[[str], None], count: int, many: int) -> list[Row]:
    """Caption swap, gibberish, seed stability for all methods; the cascade for some.

    `count` pictures each, and `many` for methods of hundreds of passes (0 leaves them out).
    """
    made = methods(cases.dual)
    if quick():
        made = {"m2ib": made["m2ib"]}
    rows: list[Row] = []
    for name, method in made.items():
        some = first(cases, many if name.startswith(MANY) else count)
        if len(some.x):
            rows += steady(some, name, method)
            say(f"sanity: {name}")
    for name in CASCADED:
        some = first(cases, many if name.startswith(MANY) else count)
        if name in made and len(some.x):
            rows += cascade(some, name, made[name])
            say(f"cascade: {name}")
    return rows


def first(cases: Cases, count: int) -> Cases:
    """The first few of the cases."""
    return replace(
        cases,
        x=cases.x[:count],
        texts=cases.texts[:count],
        masks=cases.masks[:count],
        named=cases.named[:count],
    )


def steady(cases: Cases, name: str, method: Any) -> list[Row]:
    """Likeness to the map of another caption, of nonsense, and of other seeds."""
    opened, x, target = cases.units, cases.x, cases.target
    nonsensical = Similarity("nonsense", cases.dual.embed_text(nonsense(len(x))))
    found, blank = method(opened, x, target), Random(seed=7)(opened, x, target)
    checks: list[tuple[str, Any, str, Callable[[float], bool]]] = [
        ("caption swap", CaptionSwap(method, shifted(target)), CAPTION, lambda r: r < LIMIT),
        ("gibberish caption", Gibberish(method, nonsensical), CAPTION, lambda r: r < LIMIT),
    ]
    if hasattr(method, "seed"):
        seeds = tuple(replace(method, seed=seed) for seed in (1, 2))
        checks.append(("seed stability", SeedStability(seeds), SEEDS, lambda r: r > 0.8))
    rows = []
    for label, measure, goal, good in checks:
        each = measure.each(opened, x, target, found)
        control = float(measure.each(opened, x, target, blank).mean())
        ok = good(float(each.mean())) if name == "m2ib" else None
        rows.append(row(f"{label}: {name}", each, control, goal, ok))
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
