"""Walks along a direction from x_t, decoded: what a direction of a diffusion model does.

The default goes along a sphere, so that x stays as long as noise is,

    x(c) = |x| (x + c v) / |x + c v|,                                     (1)

c in standard deviations of the noise. The published way, x-space guidance, follows what the
network says of the difference, so many times:

    x <- x + γ [ε(x + v) - ε(x)]                                          (2)

Differs from the official code, which writes over x in its loop, and decodes the picture that
nothing was done to once for every direction: ours decodes it once for all. `PUBLISHED` are their
16 steps of scale 0.1 either way, of which every fourth is shown.

References
----------
Park, Kwon, Choi, Jo, Uh. Understanding the latent space of diffusion models through the lens of
Riemannian geometry. NeurIPS 2023. (2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.model import Model
from legenda.core.sheet import Sheet
from legenda.errors import BadInput
from legenda.explain.pullback import Basis
from legenda.types import Images

Values = Float[Tensor, " s"]
States = Float[Tensor, "r s c h w"]
SIDES = ("+", "-", "both")


@runtime_checkable
class Denoises(Model[Images], Protocol):
    """A model whose output is the noise it sees in x_t, and that samples on from there."""

    def sample(self, x: Images) -> Images: ...
    def visible(self, x: Images) -> Images: ...


@runtime_checkable
class Walk(Protocol):
    """A rule for going along a direction: where it stops to look, and how far that is."""

    @property
    def values(self) -> Values: ...
    def states(self, model: Denoises, x: Images, v: Images) -> States: ...


@dataclass(frozen=True)
class Sphere:
    """Equation (1), in even steps either way.

    Parameters
    ----------
    frames: pictures along a row; an odd number shows the start too.
    reach: c at the ends, in standard deviations of the noise; larger goes further.
    """

    frames: int = 7
    reach: float = 3.0

    def __post_init__(self) -> None:
        if self.frames < 2 or not 0 < self.reach < float("inf"):
            raise BadInput(
                f"a walk needs two frames and a reach above 0; it got frames={self.frames}, "
                f"reach={self.reach}."
            )

    @property
    def values(self) -> Values:
        """c, rising."""
        half = torch.arange(self.frames) * 2 - (self.frames - 1)  # even, so that 0 is 0
        return half * self.reach / (self.frames - 1)

    def states(self, model: Denoises, x: Images, v: Images) -> States:
        c = self.values.to(x)[:, None, None, None]
        gone = x[:, None] + c * v[:, None]
        length, own = (s.flatten(-3).norm(dim=-1)[..., None, None, None] for s in (gone, x[:, None]))  # fmt: skip # noqa: E501
        return gone * (own / length)  # (1)


@dataclass(frozen=True)
class Guidance:
    """Equation (2), step by step.

    Parameters
    ----------
    steps: how often; more go further.
    every: so many steps lie between two frames.
    scale: γ; larger goes further in each step.
    length: of v; larger asks about what lies further away.
    side: along v "+", against it "-", or "both".
    """

    steps: int = 16
    every: int = 4
    scale: float = 0.1
    length: float = 1.0
    side: str = "+"

    def __post_init__(self) -> None:
        if not 1 <= self.every <= self.steps or not min(self.scale, self.length) > 0:
            raise BadInput(
                f"guidance needs at least one step between frames and as many in all, and a scale "
                f"and a length above 0; it got steps={self.steps}, every={self.every}, "
                f"scale={self.scale}, length={self.length}."
            )
        if self.side not in SIDES:
            raise BadInput(f"guidance goes {', '.join(SIDES)}; it got {self.side!r}. Choose one.")

    @property
    def values(self) -> Values:
        """Steps times scale and length, rising."""
        ahead = torch.arange(0, self.steps + 1, self.every) * self.scale * self.length
        sides = {"+": ahead, "-": -ahead.flip(0), "both": torch.cat([-ahead[1:].flip(0), ahead])}
        return sides[self.side]

    def states(self, model: Denoises, x: Images, v: Images) -> States:
        if self.side == "+":
            return self._ahead(model, x, v)
        back = self._ahead(model, x, -v).flip(1)
        return back if self.side == "-" else torch.cat([back, self._ahead(model, x, v)[:, 1:]], 1)

    @torch.no_grad()
    def _ahead(self, model: Denoises, x: Images, v: Images) -> States:
        found = [x]
        for step in range(1, self.steps + 1):
            x = x + self.scale * (
                model.run(x + self.length * v).output - model.run(x).output
            )  # (2)
            if step % self.every == 0:
                found.append(x)
        return torch.stack(found, 1)


PUBLISHED = (Guidance(), Guidance(side="-"))
DEFAULT = Sphere()


def sheets(
    model: Denoises,
    x: Images,
    basis: Basis,
    walk: Walk = DEFAULT,
    batch: int = 64,
    named: str = "pullback",
) -> list[Sheet]:
    """A sheet for each direction of a basis: rows of x, steps of the walk.

    `batch`: pictures sampled at once; changes speed and memory, never the result.
    """
    return list(each(model, x, basis, walk, batch, named))


def each(
    model: Denoises,
    x: Images,
    basis: Basis,
    walk: Walk = DEFAULT,
    batch: int = 64,
    named: str = "pullback",
    only: Sequence[int] | None = None,
) -> Iterator[Sheet]:
    """The same one by one, of `only` some of the directions."""
    values, count = walk.values, basis.directions.shape[1]
    moves = values != 0
    start = painted(model, x, batch)[:, None] if not moves.all() else None
    for k in range(count) if only is None else only:
        v = basis.directions[:, k].expand_as(x)
        states = walk.states(model, x, v)[:, moves]
        seen = painted(model, states.flatten(0, 1), batch).unflatten(0, states.shape[:2])
        if start is not None:
            before = int(moves.long().argmin())
            seen = torch.cat([seen[:, :before], start, seen[:, before:]], 1)
        yield Sheet(seen.cpu(), values, f"{model.name}/{named}/{k}", k)


@torch.no_grad()
def painted(model: Denoises, x: Images, batch: int) -> Images:
    """What some x_t lead to, in colours from 0 to 1."""
    return torch.cat([model.visible(model.sample(part)) for part in x.split(batch)])
