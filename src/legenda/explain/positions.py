"""Where a method differentiates and perturbs: the pixels of a picture, or the acts at the site.

A `Place` holds the values (pixels `b c h w`, or acts `b n d`), gives the target as a function
of them, and sums whatever is found over them into one score per position. Token ids cannot be
differentiated or dimmed, so the place of a text is always its site.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from legenda.core.model import Attends, Model, Prefix, Run
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import Unsupported
from legenda.intervene.pixels import blur
from legenda.types import Mask, Scores

At = Literal["input", "site"]
Fill = Literal["mean", "blur"]
Pool = Literal["sum", "max"]
Rows = Int[Tensor, " r"]


@runtime_checkable
class Place(Protocol):
    """Values of a batch, and the target as a function of them."""

    @property
    def value(self) -> Tensor: ...
    @property
    def drawn(self) -> Mask: ...

    def target_of(self, value: Tensor, rows: Rows) -> Scores:
        """The target, if input `rows[i]` had been `value[i]`."""
        ...

    def total(self, product: Tensor, rows: Rows) -> Float[Tensor, "r n"]:
        """Sum a signed quantity over the values of each position."""
        ...

    def strength(self, gradient: Tensor, rows: Rows, pool: Pool) -> Float[Tensor, "r n"]:
        """How large a gradient is at each position."""
        ...

    def blank(self, rows: Rows) -> Tensor:
        """Values from which the drawn positions are gone."""
        ...

    def kept(self, keep: Float[Tensor, "r n"]) -> Tensor:
        """A share per position as a share per value; 1 where a position is not drawn."""
        ...

    def spread(self, rows: Rows) -> Tensor:
        """The unit in which noise is measured: 1 of it would drown the input."""
        ...


@dataclass(frozen=True)
class AtPixels:
    """Pixels, `b c h w`, each belonging to one cell of the grid."""

    model: Model[Any]
    target: Target
    value: Float[Tensor, "b c h w"]
    drawn: Bool[Tensor, "b n"]
    grid: tuple[int, int]
    fill: Fill = "mean"

    def target_of(self, value: Tensor, rows: Rows) -> Scores:
        return self.target.at(rows)(self.model.run(value))

    def total(self, product: Tensor, rows: Rows) -> Float[Tensor, "r n"]:
        down, across = self._cells(product)
        return self._laid(down @ product.sum(1) @ across.mT, rows)

    def strength(self, gradient: Tensor, rows: Rows, pool: Pool) -> Float[Tensor, "r n"]:
        largest = gradient.abs().amax(1, keepdim=True)
        if pool == "sum":
            return self.total(largest, rows)
        return self._laid(adaptive_max_pool2d(largest, self.grid)[:, 0], rows)

    def blank(self, rows: Rows) -> Tensor:
        value = self.value[rows]
        if self.fill == "mean":
            return torch.zeros_like(value)
        everywhere = torch.ones_like(value[:, 0], dtype=torch.bool)
        return blur(value, everywhere, 2 * value.shape[-2] / self.grid[0])

    def kept(self, keep: Float[Tensor, "r n"]) -> Tensor:
        down, across = self._cells(self.value)
        return (down.mT @ keep[:, self.drawn[0]].unflatten(1, self.grid) @ across)[:, None]

    def spread(self, rows: Rows) -> Tensor:
        value = self.value[rows]
        return value.amax((1, 2, 3), keepdim=True) - value.amin((1, 2, 3), keepdim=True)

    def _cells(self, like: Tensor) -> tuple[Tensor, Tensor]:
        h, w = like.shape[-2:]
        return cells(h, self.grid[0]).to(like), cells(w, self.grid[1]).to(like)

    def _laid(self, found: Float[Tensor, "r p q"], rows: Rows) -> Float[Tensor, "r n"]:
        scores = found.new_zeros(len(found), self.drawn.shape[1])
        scores[self.drawn[rows]] = found.flatten()
        return scores


@dataclass(frozen=True)
class AtSite:
    """Acts at the site, `b n d`; special and padded positions stay as they are."""

    prefix: Prefix
    target: Target
    moments: Moments | None = None

    @property
    def value(self) -> Float[Tensor, "b n d"]:
        return self.prefix.acts

    @property
    def drawn(self) -> Mask:
        return self.prefix.valid & ~self.prefix.special

    def target_of(self, value: Tensor, rows: Rows) -> Scores:
        return self.target.at(rows)(Run(value, lambda: self.prefix.resume(value, rows)))

    def total(self, product: Tensor, rows: Rows) -> Float[Tensor, "r n"]:
        return product.sum(-1)

    def strength(self, gradient: Tensor, rows: Rows, pool: Pool) -> Float[Tensor, "r n"]:
        return gradient.norm(dim=-1)

    def blank(self, rows: Rows) -> Tensor:
        value, here = self.value[rows], self.drawn[rows][..., None]
        mean = mean_where(value, here) if self.moments is None else self.moments.mean.to(value)
        return torch.where(here, mean, value)

    def kept(self, keep: Float[Tensor, "r n"]) -> Tensor:
        return keep[..., None]

    def spread(self, rows: Rows) -> Tensor:
        value, here = self.value[rows], self.drawn[rows][..., None]
        return here * mean_where((value - mean_where(value, here)).pow(2), here).sqrt()


def place_of(
    units: Units,
    x: Tensor,
    target: Target,
    at: At,
    *,
    fill: Fill = "mean",
    moments: Moments | None = None,
) -> Place:
    """Pixels for a picture at its `input`; the site for words, and where it is asked for."""
    prefix = units.prefix(x)
    if at == "site" or x.ndim != 4:
        return AtSite(prefix, target, moments)
    if units.model.grid is None:
        raise Unsupported(
            "An attribution to pixels", "a model with a grid", units.model.name,
            "Open the model with an example image, or attribute at the site (`at='site'`).",
        )  # fmt: skip
    drawn = prefix.valid & ~prefix.special
    return AtPixels(units.model, target, x, drawn, units.model.grid, fill)


def slope(place: Place, value: Tensor, rows: Rows) -> Tensor:
    """∂target/∂value, each row by itself; nothing is left in the model."""
    with torch.enable_grad():
        leaf = value.detach().clone().requires_grad_()
        return torch.autograd.grad(place.target_of(leaf, rows).sum(), [leaf])[0]


def by_rows(place: Place, batch: int, found: Callable[[Rows], Tensor]) -> Tensor:
    """What `found` says of every row of a place, at most `batch` of them at a time."""
    rows = torch.arange(len(place.value), device=place.value.device).split(batch)
    return torch.cat([found(part) for part in rows]).detach()


@torch.no_grad()
def target_at(place: Place, value_of: Callable[[Rows], Tensor], batch: int) -> Scores:
    """The target of every input, with `value_of` its row in place of its values."""
    return by_rows(place, batch, lambda rows: place.target_of(value_of(rows), rows))


def mean_where(value: Float[Tensor, "r n d"], here: Tensor) -> Float[Tensor, "r 1 d"]:
    """The mean of the positions that are `here` (r n 1)."""
    return (value * here).sum(1, keepdim=True) / here.sum(1, keepdim=True).clamp(min=1)


def under(place: Place, row: int, keep: Float[Tensor, "s n"], batch: int) -> Float[Tensor, " s"]:
    """The target of one input, for each share of its positions that is kept."""
    shares = (place.kept(part) for part in keep.to(place.value).split(batch))
    return torch.cat([blended(place, row, share) for share in shares])


@torch.no_grad()
def blended(place: Place, row: int, share: Tensor) -> Float[Tensor, " s"]:
    """The target of one input for blank + share · (value - blank), unmoved by its neighbours."""
    rows = torch.full((len(share),), row, device=place.value.device)
    value, blank = place.value[row], place.blank(rows[:1])[0]
    return place.target_of(blank + share.to(value) * (value - blank), rows)


def cells(pixels: int, count: int) -> Float[Tensor, "count pixels"]:
    """Which cell each pixel of a line belongs to; every pixel belongs to one."""
    return torch.eye(count)[:, torch.arange(pixels) * count // pixels]


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal noise whose first rows do not depend on how many rows follow."""
    lot = torch.Generator().manual_seed(seed)
    even = torch.rand(shape, generator=lot, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    return torch.special.ndtri(even).float()


def attending(units: Units, who: str) -> Attends[Any]:
    """The model of `units`, if its attention can be looked at."""
    if isinstance(units.model, Attends):
        return units.model
    raise Unsupported(
        who, "a transformer whose attention can be looked at", units.model.name,
        "Open a model in Hugging Face layout, or use Occlusion, which needs no attention.",
    )  # fmt: skip


def readers(model: Model[Any], x: Tensor, prefix: Prefix) -> Float[Tensor, "b n"]:
    """Which positions the output is made of, each input's shares summing to one.

    The one the model says is pooled; else the class token of a picture, or the last
    position of a sentence; else all valid ones alike.
    """
    count = prefix.valid.shape[1]
    pooled: Callable[[Tensor], Tensor] | None = getattr(model, "pooled", None)
    if pooled is not None:
        return torch.eye(count)[pooled(x).cpu()].to(prefix.acts)
    if x.ndim != 4:
        return torch.eye(count)[-1].expand(len(x), count).to(prefix.acts)
    if prefix.special.any():
        return torch.eye(count)[prefix.special.int().argmax(1).cpu()].to(prefix.acts)
    return prefix.valid.to(prefix.acts) / prefix.valid.sum(1, keepdim=True)
