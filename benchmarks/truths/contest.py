"""One table for all methods: the same pictures, the same sentences, the same measures.

Every number is a mean over pairs with a bootstrap interval, beside the same number for a
random map. A measure never sees which method made the map.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Row, quick
from legenda.agreement import units
from legenda.core.evidence import Attribution
from legenda.core.interval import bootstrap, wilson
from legenda.core.model import Attends
from legenda.core.target import Similarity, Target
from legenda.core.units import Units
from legenda.explain.random import Random
from legenda.explain.settings import explainer, for_tower
from legenda.models.dual import Dual
from legenda.models.loading import block_of
from legenda.models.towers import Tower
from legenda.score.compare import difference
from legenda.score.drop import ConfidenceDrop, ConfidenceIncrease
from legenda.score.insertion_deletion import Deletion, Insertion
from legenda.score.localisation import NamedFirst, Pointing, ceiling
from legenda.score.overlap import BestIoU, IoU
from legenda.score.retrieval_roar import RetrievalROAR
from legenda.score.road import RemoveAndDebias

LOCAL = ("pointing", "pointing-dilated", "named-first", "iou", "best-iou")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cases:
    """Pictures with several objects, and for each a phrase that names one of them."""

    dual: Dual
    x: Tensor
    texts: list[str]
    masks: Tensor
    """Every object of every picture, b o h w; empty where there is none."""
    named: Tensor

    @property
    def mask(self) -> Tensor:
        """The named object's pixels, b h w."""
        return self.masks[torch.arange(len(self.x)), self.named]

    @property
    def target(self) -> Similarity:
        return self.dual.similar_to_text(self.texts)

    @property
    def units(self) -> Units:
        return units(self.dual.image, self.x)


@dataclass(frozen=True)
class At:
    """A method that works at a site of its own, whatever site it is called at."""

    method: Any
    site: int | str

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        there: Any = units.model
        return self.method(replace(units, model=there.at(self.site)), x, target)


SLOW = ("occlusion", "m2ib, published", "m2ib, per entry", "m2ib, no blur", "kernel shap", "smooth")
"""What the quick forms leave out."""
BEST_SITES = {"scenes": {"grad-cam": 2, "nib": 1}}
"""Where rivals point best on selection scenes, if not at our own site (48 pictures)."""


def methods(dual: Dual) -> dict[str, Any]:
    """Every image method under its own name, with the settings of the table."""
    ours = dual.image.ref.rpartition("@")[2]
    few = quick()

    def make(name: str, site: int | str = ours, **settings: Any) -> Any:
        moments = dual.reference and dual.reference.at("image", site)
        made = explainer(name, moments, **settings)
        return made if site == ours else At(made, site)

    best = BEST_SITES.get(dual.name, {})
    chosen = for_tower(dual.beta, "image", "m2ib", {})
    masks, samples = (16, 16) if few else (256, 256)
    found = {
        "m2ib": make("m2ib", **chosen),
        "m2ib, no blur": make("m2ib", smooth=0.0, **chosen),
        "m2ib, per entry, no blur": make("m2ib", per="entry", smooth=0.0, **chosen),
        "m2ib, adaptive": make("m2ib", adaptive=True, **chosen),
        "m2ib, published settings": make("m2ib_published"),
        "nib": make("nib", best.get("nib", ours)),
        "saliency": make("saliency"),
        "gradient × input": make("gradient_times_input"),
        "smooth grad": make("smooth_grad", draws=2 if few else 25),
        "integrated gradients": make("integrated_gradients", steps=2 if few else 32),
        "grad-cam": make("grad_cam", best.get("grad-cam", ours)),
        f"rise ({masks} masks)": make("rise", masks=masks),
        f"kernel shap ({samples} samples)": make("kernel_shap", samples=samples),
        "occlusion 1×1": make("occlusion", window=1),
        "occlusion 3×3": make("occlusion", window=3),
        "edge map": make("edge_map"),
        "centre": make("centre_gaussian"),
        "random": Random(),
    }
    if isinstance(dual.image, Tower):
        deep = block_of({}, "image", SimpleNamespace(num_hidden_layers=dual.image.depth))
        found["m2ib, published settings and site"] = make("m2ib_published", deep)
    if isinstance(dual.image, Attends):
        found["attention rollout"] = make("attention_rollout")
        found["chefer"] = make("chefer")
    return {name: how for name, how in found.items() if not (few and name.startswith(SLOW))}


def maps_of(cases: Cases, made: dict[str, Any], say: Say) -> dict[str, Attribution]:
    """One attribution per method, and how long each took."""
    found = {}
    for name, method in made.items():
        began = time.perf_counter()
        found[name] = method(cases.units, cases.x, cases.target)
        say(f"{name}: {time.perf_counter() - began:.1f} s for {len(cases.x)} pictures")
    found["ceiling (true coverage)"] = ceiling(cases.x, cases.mask, found["random"].grid or (1, 1))
    return found


def measures(cases: Cases, reach: float) -> dict[str, Any]:
    """The columns of the table."""
    found = {
        "pointing": Pointing(cases.mask),
        "pointing-dilated": Pointing(cases.mask, reach=reach),
        "named-first": NamedFirst(cases.masks, cases.named),
        "iou": IoU(cases.mask),
        "best-iou": BestIoU(cases.mask),
        "deletion": Deletion(steps=2 if quick() else 6),
        "insertion": Insertion(steps=2 if quick() else 6),
        "drop": ConfidenceDrop(),
        "increase": ConfidenceIncrease(),
        "retrieval-roar": RetrievalROAR(cases.target.embedding),
    }
    return found if quick() else {**found, "road": RemoveAndDebias()}


def contest(cases: Cases, reach: float, say: Say, goals: dict[str, float]) -> tuple[list[Row], dict[str, Attribution]]:  # fmt: skip # noqa: E501
    """All rows, the headline ones first: who wins, and whether m2ib beats the controls."""
    maps = maps_of(cases, methods(cases.dual), say)
    columns = measures(cases, reach)
    values = {
        column: {
            name: measure.each(cases.units, cases.x, cases.target, found).detach().float().cpu()
            for name, found in maps.items()
        }
        for column, measure in columns.items()
    }
    rows = heads(values, columns, goals)
    for column, measure in columns.items():
        control = float(values[column]["random"].mean())
        for name, each in values[column].items():
            mean = float(each.mean())
            rows.append(
                Row(
                    f"{column}: {name}",
                    mean,
                    measure.unit,
                    "",
                    None,
                    len(each),
                    between(each),
                    control,
                )
            )
    return rows, maps


def between(each: Tensor) -> tuple[float, float]:
    """The interval of a mean: Wilson's for shares of hits, else by bootstrap."""
    if set(each.tolist()) <= {0.0, 1.0}:
        return wilson(round(float(each.sum())), len(each))
    return bootstrap(each)


def heads(values: dict[str, dict[str, Tensor]], columns: dict[str, Any], goals: dict[str, float]) -> list[Row]:  # fmt: skip # noqa: E501
    """Strict pointing of m2ib first; then its lead over controls; then the winner per column."""
    rows = []
    for column, goal in goals.items():
        each = values[column]["m2ib"]
        mean, control = float(each.mean()), float(values[column]["random"].mean())
        rows.append(
            Row(
                f"m2ib, {column}",
                mean,
                "share",
                f"aim: ≥{goal:g}",
                mean >= goal,
                len(each),
                between(each),
                control,
            )
        )
    for column in LOCAL:
        for rival in ("random", "centre"):
            lead = difference("m2ib", values[column]["m2ib"], rival, values[column][rival])
            rows.append(
                Row(
                    f"m2ib − {rival}, {column}",
                    lead.value,
                    "share",
                    "M2IB beats random and centre on every localisation row",
                    lead.interval[0] > 0,
                    lead.n,
                    lead.interval,
                )
            )
    for column, measure in columns.items():
        means = {
            name: float(v.mean())
            for name, v in values[column].items()
            if not name.startswith("ceiling")
        }
        sign = 1 if measure.higher_is_better else -1
        first = max(sign * mean for mean in means.values())
        best = ", ".join(name for name, mean in means.items() if sign * mean == first)
        place = 1 + sum(sign * mean > sign * means["m2ib"] for mean in means.values())
        goal, ok = ("first in mIoU", place == 1) if column == "best-iou" else ("", None)
        rows.append(
            Row(
                f"place of m2ib in {column} (first: {best}, {abs(first):.3f})",
                place,
                f"of {len(means)}",
                goal,
                ok,
            )
        )
    return rows


def shifted(target: Similarity, by: int = 1) -> Similarity:
    """The same pictures with each other's sentences."""
    return replace(target, embedding=target.embedding.roll(by, 0))
