"""Cascading randomisation: does the map depend on what the model has learnt?

On a copy of the model, the weights of one part after another are drawn anew, from the output
down, and the inputs are explained again each time. A map that stays as it was does not show
what the model knows.

    curve_s = likeness of the map to the original one, with s parts redrawn          (1)

The score is the last of the curve; near the control, which is the likeness of a random map,
the method passes. Lower is better.

Differs from the paper: weights are drawn from a normal distribution with the mean and spread
of the tensor they replace, since a loaded model no longer knows how it was initialised.

References
----------
Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity checks for saliency maps. NeurIPS
2018. Cascading randomisation, by rank correlation and SSIM.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.core.evidence import Attribution
from legenda.core.explanation import Explainer, Explanation, Score
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import Missing, Unsupported, near
from legenda.score.inputs import STREAMS, attribution_in, pooled, random_like
from legenda.score.likeness import By, likeness


@dataclass(frozen=True)
class CascadingRandomisation:
    """Equation (1) with all parts redrawn, `b … -> b`, from -1 to 1; lower is better.

    Parameters
    ----------
    explain: the method that made the explanation. If it holds statistics of the model (such
        as moments), give it without them, so that it takes them from the redrawn one.
    parts: dotted names of modules, from the output down; none means every block of a tower
        and then its embeddings, or every child of another module.
    by: likeness by "spearman", or by "ssim", which needs a grid.
    seed: of the new weights and of the random control.
    """

    explain: Explainer[Any, Any]
    parts: tuple[str, ...] = ()
    by: By = "spearman"
    seed: int = 0
    name: str = field(default="cascade", init=False, repr=False)
    unit: str = field(default="correlation", init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __call__(self, units: Units, x: Tensor, target: Target, explanation: Explanation) -> Score:
        evidence = attribution_in(explanation, self.name)
        last = self.redrawn(units, x, target)[-1]
        control = random_like(x, evidence, self.seed)
        return pooled(self, self._alike(x, evidence, last), self._alike(x, control, last))

    def each(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, " b"]:
        """The likeness of each map once all parts are redrawn."""
        return self.curve(units, x, target, evidence)[-1]

    def curve(
        self, units: Units, x: Tensor, target: Target, evidence: Attribution
    ) -> Float[Tensor, "s b"]:
        """The likeness after each part; the first row is before any."""
        maps = self.redrawn(units, x, target)
        return torch.stack([self._alike(x, evidence, found) for found in [evidence, *maps]])

    def redrawn(self, units: Units, x: Tensor, target: Target) -> list[Attribution]:
        """The maps after each part."""
        found = [self.explain(stage, x, target) for stage in self.stages(units)]
        for evidence in found:
            if not isinstance(evidence, Attribution):
                got = type(evidence).__name__
                raise Unsupported(self.name, "an Attribution", got, "Check an attribution method.")
        return found  # pyright: ignore[reportReturnType] -- the loop has looked

    def stages(self, units: Units) -> Iterator[Units]:
        """The units of a copy of the model, one more of its parts redrawn each time."""
        model = copy.deepcopy(units.model)
        network = network_of(model)
        for number, part in enumerate(self.parts or downwards(model, network)):
            redraw(submodule(network, part), self.seed * 1009 + number)
            yield Units(model, units.dictionary)

    def _alike(self, x: Tensor, one: Attribution, other: Attribution) -> Tensor:
        return likeness(x, one, other, self.by, self.name)


def network_of(model: Any) -> nn.Module:
    """The network that a model has opened."""
    for name in ("root", "module"):
        if isinstance(found := getattr(model, name, None), nn.Module):
            return found
    raise Unsupported(
        "cascade", "a network whose weights can be redrawn", model.name,
        "Open it as an nn.Module.",
    )  # fmt: skip


def downwards(model: Any, network: nn.Module) -> tuple[str, ...]:
    """The parts of a network, from the output down: as `parts` says of `()`."""
    if anatomy := getattr(model, "anatomy", None):
        depth = len(list(network.get_submodule(anatomy.blocks).children()))
        blocks = [f"{anatomy.blocks}.{i}" for i in reversed(range(depth))]
        return (*blocks, anatomy.embeddings)
    children = [name for name, child in network.named_children() if list(child.parameters())]
    return tuple(reversed(children))


def submodule(network: nn.Module, name: str) -> nn.Module:
    """A part of a network by its dotted name; an unknown one suggests near ones."""
    modules = dict(network.named_modules())
    if name not in modules:
        raise Missing(
            f"cascade redraws modules by their dotted names; there is no {name!r}."
            f"{near(name, modules)}"
        )
    return modules[name]


def redraw(part: nn.Module, seed: int) -> None:
    """Draw the weights of a module anew, in place, keeping each tensor's mean and spread."""
    # a stream that no initialisation uses: the same numbers as before would be no redrawing
    lot = torch.Generator().manual_seed((STREAMS * (seed + 1)) % 2**63)
    with torch.no_grad():
        for weight in part.parameters():
            fresh = torch.randn(weight.shape, generator=lot).to(weight)
            weight.copy_(weight.mean() + weight.std(correction=0) * fresh)
