"""Faithfulness as an atlas keeps it: curves with intervals over images, beside a control."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.agreement import Agreement, units
from legenda.core.evidence import Attribution
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.models.dual import Dual
from legenda.score.insertion_deletion import Deletion, Insertion, area

Report = Callable[[str, int, int], None]
STEPS = 8
WAYS = {
    "deletion": (Deletion(STEPS), "share of patches removed", "cosine that is left", "lower"),
    "insertion": (Insertion(STEPS), "share of patches put back", "cosine", "higher"),
}


def curves_of(
    dual: Dual, made: Sequence[Agreement], seed: int, report: Report
) -> list[tuple[str, str, dict[str, Any]]]:
    """How the cosine falls, or rises, by maps and by shuffled ones: key, title and content."""
    both = stacked(made)
    shuffled = dealt(both, seed)
    target = dual.similar_to_text([one.sentence for one in made])
    opened, found = units(dual.image, both.x), []
    for done, (name, (how, across, up, better)) in enumerate(WAYS.items()):
        report("taking patches away", done, len(WAYS))
        own, other = (how.curve(opened, both.x, target, some).cpu().double() for some in (both, shuffled))  # fmt: skip # noqa: E501
        score = beside(name, area(own), area(other), seed, better == "higher")
        shares = [i / STEPS for i in range(STEPS + 1)]
        curves = [
            curve("m2ib", "M2IB", shares, own, seed),
            curve("shuffled map", "M2IB", shares, other, seed, control=True),
        ]
        content: dict[str, Any] = {"x": across, "y": up, "better": better, "curves": curves}
        content["table"] = [row("m2ib", "M2IB", score)]
        found.append((f"m2ib {name}", f"{name.capitalize()} of patches, M2IB", content))
    return found


def stacked(made: Sequence[Agreement]) -> Attribution:
    """Maps of one row each as one attribution."""
    first = made[0].image
    x, scores, drawn = (
        torch.cat([getattr(one.image, name) for one in made]) for name in ("x", "scores", "drawn")
    )
    return Attribution(x, scores, drawn, first.grid, first.unit)


def dealt(found: Attribution, seed: int) -> Attribution:
    """The same scores, dealt to other patches of their picture."""
    lot, scores = torch.Generator().manual_seed(seed), found.scores.clone()
    for row, drawn in enumerate(found.drawn):
        values = scores[row, drawn]
        order = torch.randperm(len(values), generator=lot).to(values.device)
        scores[row, drawn] = values[order]
    return Attribution(found.x, scores, found.drawn, found.grid, found.unit)


def curve(
    name: str, system: str, x: Sequence[float], y: Float[Tensor, "b s"], seed: int,
    control: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The mean over images at each step, with its interval."""
    within = [bootstrap(step, seed) for step in y.T]
    said: dict[str, Any] = {"name": name, "system": system, "control": control, "n": len(y)}
    said |= {"x": [float(v) for v in x], "y": y.mean(0).tolist()}
    if len(y) > 1:
        said |= {"low": [low for low, _ in within], "high": [high for _, high in within]}
    return said


def beside(
    name: str, values: Float[Tensor, " b"], control: Float[Tensor, " b"], seed: int, higher: bool
) -> Score:
    """A mean over images beside that of a control."""
    return Score(
        name, float(values.mean()), bootstrap(values, seed), len(values), higher,
        float(control.mean()), bootstrap(control, seed),
    )  # fmt: skip


def row(name: str, system: str, score: Score) -> dict[str, Any]:
    """One line of the table; what has no ends has no interval."""
    low, high = score.control_interval or (None, None)
    said = {
        "system": system, "name": name, "value": score.value, "low": score.interval[0],
        "high": score.interval[1], "n": score.n, "control": score.control,
        "control_low": low, "control_high": high,
    }  # fmt: skip
    return {k: None if isinstance(v, float) and abs(v) == float("inf") else v for k, v in said.items()}  # fmt: skip # noqa: E501
