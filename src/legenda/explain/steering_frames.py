"""Steering frames: traversals of units that are mostly off, through the decoder of their model.

A unit of a sparse dictionary has no prior. It is off at most positions, and where it is on, its
codes say how strongly it can be. So a row begins at the clean picture and adds more and more:

    a_s = a + Δ_s,  Δ_s the change that α_s more of the unit decodes to            (1)
    α_s = 0, then quantiles of its positive codes

A token of a codebook is on or off. Its dose is the share of positions at which it is put:

    token_n = k  where  rank_n < round(f_s N),   as it was elsewhere              (2)

The ranks of positions are drawn once per row, so that each dose holds all that the last one held.
Step 0 is the clean picture, bit for bit: it is decoded once, beside the others.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Tokens put into pictures, one region at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codebook import Codebook
from legenda.core.sheet import Sheet
from legenda.core.units import Unit, Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.traversal import Traversal, has_prior, rising
from legenda.explain.traversal_grid import (
    Make,
    Numbers,
    Pool,
    Rows,
    Strip,
    Where,
    begun,
    decoding,
    filmed,
    levels,
    numbered,
    of_codes,
    rewritten,
    shown,
)
from legenda.types import Acts, Images


@dataclass(frozen=True)
class SteeringFrames:
    """Rows along which one unit is added more and more, `r n d -> r s c h w`.

    Parameters
    ----------
    frames: steps of a row, the clean picture among them.
    span: share of the positive codes between the second step and the last; larger goes further.
    strengths: α from 0 on, rising, in place of quantiles.
    """

    frames: int = 8
    span: float = 0.95
    strengths: tuple[float | int, ...] | None = None

    def __post_init__(self) -> None:
        if self.frames < 3 or not 0 < self.span < 1:
            raise BadInput(
                f"SteeringFrames needs 3 frames or more, and a span between 0 and 1; it got "
                f"frames={self.frames}, span={self.span}."
            )
        if self.strengths is not None:
            from_nothing(self.strengths, "SteeringFrames")

    def __call__(self, units: Units, x: Images, target: Unit | int) -> Sheet:
        index = target if isinstance(target, int) else target.index
        return self.many(units, encoded(units, x), [index])[0]

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
        """Equation (1), a sheet of every unit; `pool` and `where` as in `Traversal.each`."""
        decoding(units, "SteeringFrames")
        if isinstance(units.dictionary, Codebook):
            raise BadInput(
                f"SteeringFrames adds strength to a unit; a token of {units.address} is on or off. "
                "Use TokenDoses."
            )
        indices, anchors = numbered(units, indices), begun(anchors, where, "SteeringFrames")
        values = self.grid(units, indices, anchors if pool is None else pool)
        columns = torch.tensor(indices)[:, None]

        def make(unit: Numbers, row: Numbers, step: Numbers) -> Acts:
            row = row.to(anchors.device)
            here = None if where is None else where.to(anchors.device)[row]
            by = values[unit, step][:, None]
            return rewritten(units, anchors[row], columns[unit], by, True, here)  # (1)

        found = from_clean(units, anchors, values, make, batch, pixels)
        return sheets(units, indices, values, found)

    def grid(self, units: Units, indices: Sequence[int], pool: Pool) -> Float[Tensor, "u s"]:
        """α_s of each unit."""
        if self.strengths is not None:
            return torch.tensor(self.strengths, dtype=torch.float64).expand(len(indices), -1)
        values = of_codes(units, pool, indices, levels(self.frames - 1, self.span), positive=True)
        for index, silent in zip(indices, values.isnan().any(1).tolist(), strict=True):
            if silent:
                raise BadInput(
                    f"SteeringFrames takes strengths from positive codes; unit {index} of "
                    f"{units.address} has none in {len(pool)} pictures. Give strengths, or more "
                    "pictures."
                )
        return torch.nn.functional.pad(values, (1, 0))


@dataclass(frozen=True)
class TokenDoses:
    """Rows along which one token is put at more and more positions, `r n d -> r s c h w`.

    Parameters
    ----------
    frames: steps of a row, the clean picture among them.
    most: share of positions in the last step; more shows the token, less shows the picture.
    doses: shares from 0 on, rising, in place of even steps.
    seed: of the order of positions.
    """

    frames: int = 8
    most: float = 0.5
    doses: tuple[float | int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.frames < 2 or not 0 < self.most <= 1:
            raise BadInput(
                f"TokenDoses needs 2 frames or more, and a last share above 0, up to 1; it got "
                f"frames={self.frames}, most={self.most}."
            )
        from_nothing(self.shares, "TokenDoses")
        if self.shares[-1] > 1:
            raise BadInput(f"TokenDoses are shares of positions, up to 1; it got {self.doses}.")

    @property
    def shares(self) -> tuple[float | int, ...]:
        """f_s."""
        even = tuple(np.linspace(0, self.most, self.frames).tolist())
        return even if self.doses is None else self.doses

    def __call__(self, units: Units, x: Images, target: Unit | int) -> Sheet:
        index = target if isinstance(target, int) else target.index
        return self.many(units, encoded(units, x), [index])[0]

    def many(
        self,
        units: Units,
        anchors: Rows,
        indices: Sequence[int],
        batch: int = 256,
        pixels: int = 0,
    ) -> list[Sheet]:
        """Equation (2), a sheet of every token."""
        decoding(units, "TokenDoses")
        if not isinstance(units.dictionary, Codebook):
            raise Unsupported(
                "TokenDoses", "units of a codebook", units.address,
                "Use SteeringFrames, or Traversal for latents.",
            )  # fmt: skip
        indices, anchors = numbered(units, indices), begun(anchors, who="TokenDoses")
        shares = torch.tensor(self.shares, dtype=torch.float64)
        values = shares.expand(len(indices), -1)
        counts = (shares * anchors.shape[1]).round().long()
        ranks = self.ranks(*anchors.shape[:2])
        atoms = units.dictionary.atoms[indices].to(anchors)

        def make(unit: Numbers, row: Numbers, step: Numbers) -> Acts:
            put = (ranks[row] < counts[step][:, None]).to(anchors.device)
            row, token = row.to(anchors.device), atoms[unit.to(anchors.device)][:, None]
            return torch.where(put[..., None], token, anchors[row])  # (2)

        found = from_clean(units, anchors, values, make, batch, pixels)
        return sheets(units, indices, values, found)

    def ranks(self, rows: int, positions: int) -> Int[Tensor, "r n"]:
        """When each position gets the token: a lot for each row, whatever rows follow."""
        lots = [np.random.default_rng((self.seed, row)).permutation(positions) for row in range(rows)]  # fmt: skip # noqa: E501
        return torch.from_numpy(np.stack(lots))


def suited(units: Units, pool: Pool) -> Traversal | SteeringFrames | TokenDoses:
    """What moves such units: by their kind, and by whether codes of some pictures fall below 0."""
    if isinstance(units.dictionary, Codebook):
        return TokenDoses()
    if has_prior(units):
        return Traversal()
    with torch.no_grad():
        signed = bool((units.dictionary.encode(pool).weight < 0).any())
    return Traversal(quantiles_of="codes") if signed else SteeringFrames()


def from_clean(
    units: Units,
    anchors: Rows,
    values: Float[Tensor, "u s"],
    make: Make,
    batch: int,
    pixels: int,
) -> Iterator[Strip]:
    """Strips whose steps at 0 are the clean pictures, decoded once for all units."""
    clean, moving = shown(units.model, anchors), (values != 0).any(0)
    steps = moving.nonzero()[:, 0]
    size = len(values), len(anchors), len(steps)
    for strip in filmed(units.model, size, lambda u, r, s: make(u, r, steps[s]), batch, pixels):
        whole = clean[:, None].repeat(1, len(moving), 1, 1, 1)
        whole[:, moving] = strip
        yield whole


def sheets(
    units: Units,
    indices: Sequence[int],
    values: Float[Tensor, "u s"],
    strips: Iterator[Strip],
) -> list[Sheet]:
    """A sheet of every unit."""
    found = zip(indices, values, strips, strict=True)
    return [Sheet(strip, own, units[index].label, index) for index, own, strip in found]


def encoded(units: Units, x: Images) -> Acts:
    """The acts of pictures, without a graph."""
    with torch.no_grad():
        return units.model.acts(x)


def from_nothing(values: Sequence[float | int], who: str) -> None:
    """Refuse values that do not rise from 0."""
    rising(values, who)
    if values[0] != 0:
        raise BadInput(f"{who} begins with the clean picture, at 0; it got {tuple(values)}.")
