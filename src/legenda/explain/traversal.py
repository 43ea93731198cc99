"""Traversals: one unit moves, the decoder shows what becomes of the picture.

From the code of an anchor, a row sets one unit to rising values and leaves all else alone:

    x_rs = decode(z_r with z_ri = v_s)                                    (3)

v are quantiles of what the unit takes anyway, so that the frames stay where the model was
trained; a fixed grid goes beyond it for one latent and stays short of it for another. Equations
go on from those of `traversal_grid`.

On a grid of positions, one value everywhere would wipe out the pattern that an anchor has. There
a row adds to it (`mode="add"`), around 0, in spreads σ of the unit's codes in some pictures:

    v_s = σ Φ⁻¹(p_s)                                                      (4)

Differs from the published grid, -3 … 3 for every latent from one draw of the prior: ours are
prior quantiles from several anchors; `values=(-3, -1.5, 0, 1.5, 3)` with `real=0.0` reproduces it.

References
----------
Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner. β-VAE: learning basic visual
concepts with a constrained variational framework. ICLR 2017. Traversals of latents.
Zhu, Kanjiani, Lu, Choi, Ye, Zhao. LatentExplainer: explaining latent representations in deep
generative models with multimodal large language models. arXiv 2406.14862. The fixed grid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.dictionary import Identity
from legenda.core.sheet import Sheet
from legenda.core.units import Unit, Units
from legenda.errors import BadInput
from legenda.explain.positions import normal
from legenda.explain.traversal_grid import (
    Pool,
    Rows,
    Where,
    begun,
    decoding,
    levels,
    numbered,
    of_codes,
    of_prior,
    spreads,
    strips,
)
from legenda.types import Acts, Images


@dataclass(frozen=True)
class Traversal:
    """Rows of pictures along which one unit moves, `r n d -> r s c h w`.

    Parameters
    ----------
    frames: steps of a row; more show a finer movement.
    span: share of the values between the first step and the last; larger goes to rarer ones.
    values: what the unit is set to, rising, in place of quantiles; in σ where these are of it.
    quantiles_of: the "prior" of latents; the "codes" of some pictures, for units without one; or
        the "spread" of these codes, to be added.
    mode: whether values are "set", or "add" to what the anchor has.
    real: share of rows that begin at pictures; the others begin at draws of the prior.
    seed: of those draws.
    """

    frames: int = 8
    span: float = 0.95
    values: tuple[float | int, ...] | None = None
    quantiles_of: Literal["prior", "codes", "spread"] = "prior"
    mode: Literal["set", "add"] = "set"
    real: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 2 or not 0 < self.span < 1:
            raise BadInput(
                f"Traversal needs 2 frames or more, and a span between 0 and 1; it got "
                f"frames={self.frames}, span={self.span}."
            )
        kinds = ("prior", "codes", "spread")
        if self.quantiles_of not in kinds or self.mode not in ("set", "add"):
            raise BadInput(
                f"Traversal takes quantiles of the 'prior', of 'codes' or of their 'spread', to "
                f"'set' or to 'add'; it got {self.quantiles_of!r} and {self.mode!r}. Choose one of "
                "each."
            )
        if self.values is not None:
            rising(self.values, "Traversal")

    def __call__(self, units: Units, x: Images, target: Unit | int) -> Sheet:
        index = target if isinstance(target, int) else target.index
        rows = anchors(units, len(x), self.seed, x, self.real)
        return self.many(units, rows, [index], pool=self._pool(units, x))[0]

    def many(
        self,
        units: Units,
        anchors: Rows,
        indices: Sequence[int],
        batch: int = 256,
        pixels: int = 0,
        pool: Pool | None = None,
        where: Where | None = None,
    ) -> list[Sheet]:
        """A sheet of every unit, all frames decoded together; `each` gives them one by one."""
        return list(self.each(units, anchors, indices, batch, pixels, pool, where))

    def each(
        self,
        units: Units,
        anchors: Rows,
        indices: Sequence[int],
        batch: int = 256,
        pixels: int = 0,
        pool: Pool | None = None,
        where: Where | None = None,
    ) -> Iterator[Sheet]:
        """Equation (3), sheet by sheet.

        `pool` holds acts whose codes give quantiles, or their spread (the anchors, if None);
        `where` says at which positions of each anchor the unit moves (everywhere, if None).
        """
        decoding(units, "Traversal")
        indices, anchors = numbered(units, indices), begun(anchors, where)
        values = self.grid(units, indices, anchors if pool is None else pool)
        columns, add = torch.tensor(indices)[:, None], self.mode == "add"
        found = strips(
            units, anchors, columns, values[..., None],
            add=add, where=where, batch=batch, pixels=pixels,
        )  # fmt: skip
        for index, own, strip in zip(indices, values, found, strict=True):
            yield Sheet(strip, own, units[index].label, index)

    def grid(self, units: Units, indices: Sequence[int], pool: Pool) -> Float[Tensor, "u s"]:
        """What each unit is set to at each step, by (1), (2) or (4); or what is added."""
        p = levels(self.frames, self.span)
        given = None if self.values is None else torch.tensor(self.values, dtype=torch.float64)
        if self.quantiles_of == "spread":
            steps = of_prior(p) if given is None else given
            return spreads(units, pool, indices)[:, None] * steps  # (4)
        if given is not None:
            return given.expand(len(indices), -1)
        if self.quantiles_of == "codes":
            return of_codes(units, pool, indices, p)
        if not has_prior(units):
            raise BadInput(
                f"Traversal takes values from the prior of a latent vector; the units of "
                f"{units.address} have none. Say quantiles_of='codes', or give values."
            )
        return of_prior(p).expand(len(indices), -1)

    def _pool(self, units: Units, x: Images) -> Acts | None:
        given = self.values is not None and self.quantiles_of == "codes"
        if self.quantiles_of == "prior" or given:
            return None
        with torch.no_grad():
            return units.model.acts(x)


def has_prior(units: Units) -> bool:
    """Whether units are the latents of one vector, which the prior draws as N(0, 1)."""
    return isinstance(units.dictionary, Identity) and units.model.grid == (1, 1)


def anchors(
    units: Units, count: int, seed: int = 0, x: Images | None = None, real: float = 1.0
) -> Rows:
    """What rows begin at: the latents of the first pictures of `x`, then draws of the prior.

    `real` is the share of pictures; without `x` all are drawn. The first draws do not depend on
    how many follow.
    """
    pictures = 0 if x is None else round(count * real)
    if count < 1 or not 0 <= real <= 1 or (x is not None and len(x) < pictures):
        raise BadInput(
            f"anchors needs 1 row or more, a share of pictures from 0 to 1, and so many pictures; "
            f"it got count={count}, real={real} and {0 if x is None else len(x)} pictures."
        )
    parts = []
    if x is not None and pictures:
        with torch.no_grad():
            parts.append(units.model.acts(x[:pictures]).detach())
    if count > pictures:
        parts.append(_drawn(units, count - pictures, seed))
    return torch.cat([part.to(parts[0]) for part in parts])


def _drawn(units: Units, count: int, seed: int) -> Acts:
    width = getattr(units.model, "width", None)
    if width is None and isinstance(units.dictionary, Identity):
        width = len(units)
    if units.model.grid != (1, 1) or width is None:
        raise BadInput(
            f"only the latents of one vector can be drawn from a prior; {units.model.name} has "
            "others. Give pictures, x, and real=1."
        )
    return normal((count, 1, width), seed).to(getattr(units.model, "device", "cpu"))


def rising(values: Sequence[float | int], who: str) -> None:
    """Refuse values that are fewer than two, not finite, or do not rise."""
    given = torch.tensor(values, dtype=torch.float64)
    if len(given) < 2 or not given.isfinite().all() or not (given.diff() > 0).all():
        raise BadInput(f"{who} needs 2 values or more that rise; it got {tuple(values)}.")
