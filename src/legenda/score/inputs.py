"""What every measure shares: checked attributions, the target in batches, the random control.

A measure gives one value per pair. Its score is their mean with a bootstrap interval over the
pairs, beside the same mean for a random attribution of the same inputs. The random numbers of
a pair depend on the seed and on the pair alone, so that shards can be pooled.
"""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explanation, Score
from legenda.core.interval import bootstrap
from legenda.core.target import Target, digest
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError, Unsupported

STREAMS = 0x9E3779B97F4A7C15
"""Keeps the random numbers of two seeds apart."""


@runtime_checkable
class Measure(Protocol):
    """A scorer that also gives its value for every pair."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def higher_is_better(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    def each(self, units: Units, x: Tensor, target: Target, evidence: Attribution) -> Tensor: ...


def judge(
    measure: Measure, units: Units, x: Tensor, target: Target, explanation: Explanation
) -> Score:
    """The score of an explanation, beside the score of a random one."""
    evidence = attribution_in(explanation, measure.name)
    check(measure.name, x, evidence)
    control = random_like(x, evidence, measure.seed)
    return pooled(
        measure,
        measure.each(units, x, target, evidence),
        measure.each(units, x, target, control),
    )


def pooled(measure: Measure, values: Float[Tensor, " b"], control: Float[Tensor, " b"]) -> Score:
    """One score from values per pair, of one batch or of several put end to end."""
    if not len(values):
        raise BadInput(f"{measure.name} needs at least one pair to be scored; it got none.")
    return Score(
        measure.name,
        float(values.double().mean()),
        bootstrap(values, measure.seed),
        len(values),
        measure.higher_is_better,
        float(control.double().mean()),
        bootstrap(control, measure.seed),
        measure.unit,
    )


def attribution_in(explanation: Explanation, who: str) -> Attribution:
    """The attribution of an explanation; other evidence is refused."""
    evidence = explanation.evidence
    if not isinstance(evidence, Attribution):
        raise Unsupported(
            who, "an Attribution", type(evidence).__name__, "Score an attribution method."
        )
    return evidence


def check(who: str, x: Tensor, evidence: Attribution) -> None:
    """Refuse scores that are not one map per input: a map for a batch is never spread over it."""
    scores, drawn = evidence.scores, evidence.drawn
    if scores.ndim != 2 or scores.shape != drawn.shape or len(scores) != len(x):
        raise ShapeError(
            f"{who} needs one map per input, scores and drawn ({len(x)}, n) each; it got "
            f"{tuple(scores.shape)} and {tuple(drawn.shape)}. Explain the whole batch."
        )
    if evidence.grid is not None:
        cells = evidence.grid[0] * evidence.grid[1]
        if (drawn.sum(1) != cells).any():
            raise ShapeError(
                f"{who} needs maps that fill their grid of {evidence.grid[0]} x "
                f"{evidence.grid[1]} patches; it got {drawn.sum(1).unique().tolist()} drawn "
                "positions per image. Leave out special tokens."
            )
    if not drawn.any(1).all():
        raise BadInput(f"{who} needs something drawn in every input. Leave empty ones out.")
    if not scores[drawn].isfinite().all():
        raise BadInput(f"{who} needs finite scores; it got NaN or infinity. Mend the attribution.")


def on_grid(values: Tensor, evidence: Attribution) -> Tensor:
    """The values at drawn positions, `b n -> b cells`, of maps that fill their grid."""
    return values[evidence.drawn].unflatten(0, (len(values), -1))


def needs_grid(who: str, evidence: Attribution) -> tuple[int, int]:
    """The grid of the maps; word attributions are refused."""
    if evidence.grid is None:
        raise Unsupported(who, "a grid of patches", "an attribution of words", "Give pictures.")
    return evidence.grid


def span(maps: Float[Tensor, "b *n"]) -> Float[Tensor, "b *n"]:
    """Maps stretched to [0, 1] each; a constant map becomes 1 everywhere."""
    flat = maps.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    flat_enough = high - low <= 1e-6 * flat.abs().amax(1, keepdim=True)
    unit = (flat - low) / (high - low).clamp(min=torch.finfo(flat.dtype).tiny)
    return torch.where(flat_enough, torch.ones_like(flat), unit).unflatten(1, maps.shape[1:])


def clean(units: Units, x: Tensor, target: Target, batch: int) -> Float[Tensor, " b"]:
    """The target of untouched inputs."""
    with torch.no_grad():
        parts = torch.arange(len(x), device=x.device).split(batch)
        return torch.cat([target.at(rows)(units.model.run(x[rows])) for rows in parts])


def random_like(x: Tensor, evidence: Attribution, seed: int) -> Attribution:
    """Uniform scores in place of the measured ones: the control of every measure."""
    return replace(evidence, scores=lots(x, evidence.drawn, seed), figures={})


def lots(x: Tensor, drawn: Bool[Tensor, "b n"], seed: int) -> Float[Tensor, "b n"]:
    """Uniform numbers at drawn positions, from the seed and each input alone; 0 elsewhere."""
    numbers = torch.zeros(drawn.shape, device=drawn.device)
    for row, (one, where) in enumerate(zip(x, drawn, strict=True)):
        content = one[where] if one.shape == where.shape else one
        mixed = (int(digest(content), 16) + STREAMS * (seed + 1)) % 2**63
        generator = torch.Generator().manual_seed(mixed)
        numbers[row, where] = torch.rand(int(where.sum()), generator=generator).to(numbers.device)
    return numbers
