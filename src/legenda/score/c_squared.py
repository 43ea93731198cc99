"""C²: does a unit mark the same thing in each of its images, to the eyes of another encoder?

Of a unit's strongest images, m = 1 … M with weights w_m, its map a_mx ≥ 0 says where to look, and
another encoder's dense features F_mx say what is there:

    f_m = Σ_x a_mx F_mx / Σ_x a_mx,   then at length 1                     (1)
    C²  = Σ_{m≠n} w_m w_n f_m · f_n / Σ_{m≠n} w_m w_n                       (2)

w_m is the strongest weight of the unit in the image. Features of any two places are somewhat alike,
so that the control always stands beside: the same maps in the same images, each with its positions
drawn by lot. Computed as ‖Σ w f‖² - Σ w² ‖f‖² over (Σ w)² - Σ w², and images resampled, as in
`monosemanticity.py`.

Differs from the official code: a unit's own map stands for its attribution, and a feature map that
was interpolated is the caller's to give.

References
----------
Parchami-Araghi, Rao, Fischer, Schiele. FaCT: faithful concept traces for explaining neural network
decisions. NeurIPS 2025. (1) and (2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import upsample
from legenda.score.by_image import scored
from legenda.score.support import OnMaps, on_maps, scattered

Grid = tuple[int, int]
CHUNK = 256
"""So many units are compared at once."""
Features = Callable[[int], Float[Tensor, "h w e"]]
"""The dense features of one image, by its place among the codes."""


@dataclass(frozen=True, eq=False)
class CSquaredFound:
    """The mean over units, and each unit's in the order asked for; NaN where one has too few images."""  # noqa: E501

    score: Score
    each: Float[Tensor, " q"]
    control: Float[Tensor, " q"]


@dataclass(frozen=True)
class CSquared:
    """Equation (2) of units, `b n j -> q`; higher is better.

    Parameters
    ----------
    top: images per unit; more ask more of it, and look at weaker ones.
    least: images that a unit must have; larger leaves rare units out.
    seed: of the control and the interval.
    """

    top: int = 30
    least: int = 2
    seed: int = 0

    def __call__(
        self, codes: Codes, grid: Grid, features: Features, units: Sequence[int] | None = None
    ) -> CSquaredFound:
        """`units`: which to measure; None: all."""
        if codes.index.shape[1] != grid[0] * grid[1] or not len(codes.index):
            raise ShapeError(
                f"C² needs codes of {grid[0]} x {grid[1]} positions; it got "
                f"{tuple(codes.index.shape)}. Leave out special tokens."
            )
        which = torch.arange(codes.size) if units is None else torch.tensor(list(units))
        peaks = codes.strongest().detach().cpu().double().clamp(min=0)[:, which]
        weight, image = peaks.T.topk(min(self.top, len(peaks)), dim=1)
        sides = self.encodings(codes, grid, features, which, weight, image)
        (value, found), (null, control) = (
            weighed(side, weight, image, len(peaks), self.least) for side in sides
        )
        return CSquaredFound(
            scored("c-squared", found, control, self.seed, unit="cosine"), value, null
        )

    def encodings(
        self, codes: Codes, grid: Grid, features: Features, which: Int[Tensor, " q"],
        weight: Float[Tensor, "q m"], image: Int[Tensor, "q m"],
    ) -> tuple[Float[Tensor, "q m e"], Float[Tensor, "q m e"]]:  # fmt: skip
        """Equation (1), and the same by maps drawn by lot; each image is looked at once."""
        found: list[Tensor] = []
        for i in image[weight > 0].unique().tolist():
            row, slot = ((image == i) & (weight > 0)).nonzero().T
            seen = features(i).detach().cpu().double()
            if not seen.isfinite().all():
                raise BadInput(f"C² needs finite features; those of image {i} hold NaN or infinity. Leave it out.")  # fmt: skip # noqa: E501
            maps = on_maps(codes, i)
            found = found or [seen.new_zeros(*image.shape, seen.shape[2], dtype=torch.float32) for _ in range(2)]  # fmt: skip # noqa: E501
            for side, one in zip(found, (maps, scattered(maps, self.seed)), strict=True):
                side[row, slot] = encoded(one, which[row], seen, grid).float()
        if not found:
            raise BadInput("C² needs units that are on somewhere; none is. Give other images.")
        return found[0], found[1]


def encoded(
    found: OnMaps, units: Int[Tensor, " r"], features: Float[Tensor, "h w e"], grid: Grid
) -> Float[Tensor, "r e"]:
    """Equation (1) for some units of one image."""
    maps = found.maps[torch.searchsorted(found.units, units)]
    size = (features.shape[0], features.shape[1])
    spread = maps if size == grid else upsample(maps, grid, size).flatten(1)
    return normalize(spread @ features.flatten(0, 1), dim=1)


def weighed(
    encodings: Float[Tensor, "q m e"], weights: Float[Tensor, "q m"], image: Int[Tensor, "q m"],
    images: int, least: int,
) -> tuple[Float[Tensor, " q"], Float[Tensor, " b"]]:  # fmt: skip
    """Equation (2) of each unit, and the mean over units as one number per image."""
    values, pulls = [], torch.zeros(images, dtype=torch.float64)
    for f, w, at in zip(*(side.split(CHUNK) for side in (encodings, weights, image)), strict=True):
        held = (w > 0).sum(1) >= max(2, least)
        f, total = f.double(), w.sum(1, keepdim=True)
        square, v = f.pow(2).sum(2), torch.einsum("qm,qme->qe", w, f)
        above = v.pow(2).sum(1) - (w.pow(2) * square).sum(1)
        below = total[:, 0].pow(2) - w.pow(2).sum(1)
        value = (above / below).where(held, torch.nan)  # (2)
        inner = torch.einsum("qme,qe->qm", f, v)
        slope = 2 * w * (inner - w * square - value[:, None] * (total - w)) / below[:, None]
        pulls += at[held].flatten().bincount(slope[held].flatten(), minlength=images)
        values.append(value)
    each = torch.cat(values)
    return each, each.nanmean() + images * pulls / int((~each.isnan()).sum())
