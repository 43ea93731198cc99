"""Factor information: how much does each code say of each factor of the pictures?

A code z_i is cut into bins and counted against the levels of a factor v_k over n pictures. With
p(b, l) the share of pictures in bin b of z_i that have level l of v_k,

    I_ik = Σ_bl p(b, l) log p(b, l) / (p(b) p(l))   nats                  (1)
    H_k = -Σ_l p(l) log p(l),     share_ik = I_ik / H_k                   (2)

Histograms of few pictures find information where there is none: about as many nats as they find
when pictures are dealt other pictures' levels. The mean over such permutations π is taken off, or
what Miller and Madow expect from the numbers of cells, bins and levels that are not empty:

    I_ik - mean_π I_ik(π)                                                 (3)
    I_ik - (cells - bins - levels + 1) / 2n                               (4)

Either takes a little too much where a code says nearly all there is to say. (1) is a mean over
pictures of log p(b, l) / (p(b) p(l)) and, to first order, nothing else in it changes when pictures
are resampled; these n numbers give the interval.

Differs from the community's code (disentanglement_lib): bins hold equally many pictures, so that
any rising map of a code changes nothing (`by="width"` is theirs), and the bias is taken off
(`correction="none"` is theirs). Corrected values may fall a little below 0.

References
----------
Miller. Note on the bias of information estimates. Information Theory in Psychology 1955. (4).
Locatello et al. Challenging common assumptions in the unsupervised learning of disentangled
representations. ICML 2019. 20 bins of posterior means; disentanglement_lib is its code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.errors import BadInput, ShapeError

Latents = Float[Tensor, "n d"] | Float[np.ndarray, "n d"]
Levels = Int[Tensor, "n f"] | Int[np.ndarray, "n f"]
Shape = tuple[int, int, int, int]

CORRECTIONS = ("permutation", "miller-madow", "none")
CLASSES = 4
"""Factors of so many levels or fewer are classes, of more are ordered, unless told otherwise."""


class Known(NamedTuple):
    """Codes, and the levels of the pictures they are of, renumbered from 0 in rising order."""

    codes: Float[Tensor, "n d"]
    levels: Int[Tensor, "n f"]
    given: Int[Tensor, "n f"]
    names: tuple[str, ...]
    ordered: tuple[bool, ...]

    def permuted(self, seed: int) -> "Known":
        """The control: every picture with the levels of another, whole."""
        order = torch.randperm(len(self.codes), generator=torch.Generator().manual_seed(seed))
        return self._replace(levels=self.levels[order], given=self.given[order])


@dataclass(frozen=True, eq=False)
class Information:
    """What each code says of each factor.

    Parameters
    ----------
    nats: equation (3) or (4); larger says more.
    interval: its ends at 95 %, pictures resampled.
    chance: what (1) finds on average in permuted pictures: the control.
    spread: standard deviation of that.
    entropy: equation (2); what there is to say of each factor.
    pointwise: the numbers whose mean over n pictures is (1).
    factors: their names.
    """

    nats: Float[Tensor, "d f"]
    interval: Float[Tensor, "2 d f"] = field(repr=False)
    chance: Float[Tensor, "d f"] = field(repr=False)
    spread: Float[Tensor, "d f"] = field(repr=False)
    entropy: Float[Tensor, " f"]
    pointwise: Float[Tensor, "n d f"] = field(repr=False)
    factors: tuple[str, ...]

    @property
    def share(self) -> Float[Tensor, "d f"]:
        """Of what there is to say of a factor, how much each code says: equation (2)."""
        return self.nats / self.entropy

    def told_apart(self, z: float = 4.0) -> Bool[Tensor, "d f"]:
        """Where (1) is more than `z` standard deviations above chance."""
        return self.pointwise.mean(0) > self.chance + z * self.spread + 1e-12


@dataclass(frozen=True)
class FactorInformation:
    """Equations (1) to (4), `n d, n f -> d f`.

    Parameters
    ----------
    bins: per code; more see finer, and more of what is not there.
    by: bins of equal "mass" or of equal "width".
    correction: "permutation" is (3), "miller-madow" is (4), "none" is (1).
    permutations: more steady the correction and the chance level, at as much more cost.
    seed: of permutations and resampling.
    """

    bins: int = 20
    by: Literal["mass", "width"] = "mass"
    correction: Literal["permutation", "miller-madow", "none"] = "permutation"
    permutations: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        fine = self.by in ("mass", "width") and self.correction in CORRECTIONS
        if not fine or min(self.bins, self.permutations) < 2:
            raise BadInput(
                f"FactorInformation cuts by mass or width into 2 bins or more, and corrects by "
                f"{', '.join(CORRECTIONS)}, with 2 permutations or more; it got {self}."
            )

    def __call__(self, codes: Latents, factors: Levels, names: Sequence[str] = ()) -> Information:
        return self.of(known("FactorInformation", codes, factors, names))

    def of(self, data: Known) -> Information:
        """The same of what has been checked."""
        bins = binned(data.codes, self.bins, self.by)
        shape = (bins.shape[1], data.levels.shape[1], self.bins, int(data.levels.max()) + 1)
        place = places(bins, data.levels, shape)
        counts = counted(place, shape)
        plain, ratio = information(counts)
        lot, found = torch.Generator().manual_seed(self.seed), []
        for _ in range(self.permutations):
            order = torch.randperm(len(bins), generator=lot)
            found.append(information(counted(places(bins, data.levels[order], shape), shape))[0])
        by_chance = torch.stack(found)
        nats = plain - self.bias(counts, by_chance)
        pointwise = ratio.flatten()[place]
        around = resampled(pointwise.flatten(1), self.seed).unflatten(1, plain.shape)
        return Information(
            nats, around + (nats - plain), by_chance.mean(0), by_chance.std(0),
            surprise(data.levels).mean(0), pointwise, data.names,
        )  # fmt: skip

    def bias(
        self, counts: Int[Tensor, "d f q l"], by_chance: Float[Tensor, "p d f"]
    ) -> Float[Tensor, "d f"]:
        """What equation (3) or (4) takes off."""
        if self.correction == "permutation":
            return by_chance.mean(0)  # (3)
        if self.correction == "none":
            return torch.zeros_like(by_chance[0])
        cells = (counts > 0).sum((2, 3))
        bins, levels = ((counts.sum(axis) > 0).sum(2) for axis in (3, 2))
        return (cells - bins - levels + 1).double() / (2 * int(counts[0, 0].sum()))  # (4)


def binned(codes: Float[Tensor, "n d"], bins: int, by: str = "mass") -> Int[Tensor, "n d"]:
    """The bin of each code; equal values share one."""
    if by == "width":
        low, high = codes.amin(0), codes.amax(0)
        wide = (high - low).where(high > low, torch.inf)
        return ((codes - low) / wide * bins).long().clamp(max=bins - 1)
    ranks = (torch.arange(1, bins) * len(codes)).add(bins - 1) // bins
    edges = codes.sort(0).values[ranks.clamp(max=len(codes) - 1)]
    return torch.searchsorted(edges.T.contiguous(), codes.T.contiguous(), right=True).T


def places(bins: Int[Tensor, "n d"], levels: Int[Tensor, "n f"], shape: Shape) -> Int[Tensor, "n d f"]:  # fmt: skip # noqa: E501
    """Where each picture is counted: one number for code, factor, bin and level."""
    d, f, q, size = shape
    pair = torch.arange(d)[:, None] * f + torch.arange(f)
    return (pair * q + bins[:, :, None]) * size + levels[:, None]


def counted(place: Int[Tensor, "n d f"], shape: Shape) -> Int[Tensor, "d f q l"]:
    """All histograms at once."""
    d, f, q, size = shape
    return place.flatten().bincount(minlength=d * f * q * size).view(shape)


def information(counts: Int[Tensor, "d f q l"]) -> tuple[Float[Tensor, "d f"], Float[Tensor, "d f q l"]]:  # fmt: skip # noqa: E501
    """Equation (1), and its logarithms; 0 where nothing was counted."""
    n = counts[0, 0].sum()
    alone = counts.sum(3, keepdim=True).double() * counts.sum(2, keepdim=True)
    ratio = (counts * n / alone.clamp(min=1)).where(counts > 0, 1.0).log()
    return (counts.double() / n * ratio).sum((2, 3)), ratio  # (1)


def surprise(levels: Int[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """-log p of each picture's level; its mean is H, equation (2)."""
    columns = [(column.bincount().double() / len(levels)).log()[column] for column in levels.T]
    return -torch.stack(columns, 1)


def resampled(values: Float[Tensor, "n q"], seed: int, draws: int = 1000) -> Float[Tensor, "2 q"]:
    """Percentile bootstrap of many means at once: the same pictures are drawn for all."""
    n, lot, found = len(values), torch.Generator().manual_seed(seed), []
    rows = max(1, 2**22 // n)  # so that no more numbers than that are held at once
    for start in range(0, draws, rows):
        pick = torch.randint(n, (min(rows, draws - start), n), generator=lot)
        often = torch.zeros(pick.shape, dtype=torch.float64)
        found.append(often.scatter_add(1, pick, torch.ones_like(often)) @ values / n)
    return torch.cat(found).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)


def known(
    who: str, codes: Latents, factors: Levels, names: Sequence[str] = (),
    ordered: Sequence[bool] | None = None, least: tuple[int, int] = (1, 1),
) -> Known:  # fmt: skip
    """What was given, checked: `least` codes and factors, and every factor changes."""
    z = torch.as_tensor(codes).detach().to("cpu", torch.float64)
    v = torch.as_tensor(factors).detach().cpu()
    listed(who, z, v, least)
    given = v.long()
    levels = torch.stack([column.unique(return_inverse=True)[1] for column in given.T], 1)
    said = tuple(map(str, names)) or tuple(f"factor {k}" for k in range(v.shape[1]))
    sizes = (levels.amax(0) + 1).tolist()
    kinds = tuple(size > CLASSES for size in sizes) if ordered is None else tuple(ordered)
    if len(said) != v.shape[1] or len(kinds) != v.shape[1]:
        raise BadInput(
            f"{who} needs a name, and whether its levels are ordered, for each of {v.shape[1]} "
            f"factors; it got {len(said)} and {len(kinds)}. Give one of each, or none."
        )
    if 1 in sizes:
        raise BadInput(f"{who} needs factors that change; {said[sizes.index(1)]!r} has one level in all {len(z)} pictures. Leave it out.")  # fmt: skip # noqa: E501
    return Known(z, levels, given, said, kinds)


def listed(who: str, z: Tensor, v: Tensor, least: tuple[int, int]) -> None:
    """Refuse what is not a list of pictures with codes and levels."""
    if z.ndim != 2 or v.ndim != 2 or len(z) != len(v):
        raise ShapeError(
            f"{who} needs codes (n d) and levels of factors (n f) of the same pictures; it got "
            f"{tuple(z.shape)} and {tuple(v.shape)}. Give both for all pictures."
        )
    if v.is_floating_point() or not z.isfinite().all():
        raise BadInput(
            f"{who} needs finite codes and whole numbers for levels; it got {v.dtype} levels and "
            f"{int((~z.isfinite()).sum())} codes that are not finite. Mend or leave out those."
        )
    if len(z) < 8 or z.shape[1] < least[0] or v.shape[1] < least[1]:
        raise BadInput(
            f"{who} needs 8 pictures, {least[0]} codes and {least[1]} factors or more; it got "
            f"{len(z)}, {z.shape[1]} and {v.shape[1]}."
        )
