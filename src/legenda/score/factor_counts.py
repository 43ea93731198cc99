"""Counts of units against factors: over the slots that are on, never k wide at a position.

With a_t the weight of a unit at position t, 0 where it is off, r_t its rank among all N positions
(ties share their mean rank), and a factor that is true at F of them,

    A = #{a > cut},   I = #{a > cut, true}                                (1)
    AUROC = (Σ_{t true} r_t - F (F + 1) / 2) / (F (N - F))                (2)

All positions at which a unit is off tie, so that (2), too, needs only those at which it is on.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.codes import Codes

Factors = Bool[Tensor, "b n f"]


class Slots(NamedTuple):
    """The slots that are on (m): image, position, unit and weight, of k units."""

    image: Int[Tensor, " m"]
    position: Int[Tensor, " m"]
    unit: Int[Tensor, " m"]
    weight: Float[Tensor, " m"]
    size: int


class Choice(NamedTuple):
    """For each factor a unit, and the weight above which it counts as on."""

    unit: Int[Tensor, " f"]
    floor: Float[Tensor, " f"]


def slots_of(codes: Codes) -> Slots:
    """The slots that are on, image by image."""
    weight = codes.weight.detach().cpu()
    image, position, slot = (weight > 0).nonzero().T
    unit = codes.index.cpu()[image, position, slot]
    return Slots(image, position, unit, weight[image, position, slot].double(), codes.size)


def only(slots: Slots, kept: Bool[Tensor, " m"]) -> Slots:
    """Some of the slots."""
    return Slots(slots.image[kept], slots.position[kept], slots.unit[kept], slots.weight[kept], slots.size)  # fmt: skip # noqa: E501


def taken(slots: Slots, rows: Int[Tensor, " r"]) -> Slots:
    """The slots of some images, renumbered."""
    place = torch.full(
        (int(max(rows.max(), slots.image.max() if len(slots.image) else 0)) + 1,), -1
    )
    place[rows] = torch.arange(len(rows))
    kept = only(slots, place[slots.image] >= 0)
    return kept._replace(image=place[kept.image])


def exchanged(slots: Slots, images: int, seed: int) -> Slots:
    """Each unit's images moved on by its own lot along one order, so that none keeps its own."""
    lot = torch.Generator().manual_seed(seed)
    order = torch.randperm(images, generator=lot)
    by = torch.randint(1, images, (slots.size,), generator=lot)
    return slots._replace(image=order[(order.argsort()[slots.image] + by[slots.unit]) % images])


def counts(slots: Slots, factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    """I (k f), A (k 1) and F (f)."""
    k, hits = slots.size, factors[slots.image, slots.position]
    both = torch.stack([slots.unit[hit].bincount(minlength=k) for hit in hits.unbind(1)], 1)
    return both, slots.unit.bincount(minlength=k)[:, None], factors.sum((0, 1))


def per_image(
    slots: Slots, factors: Factors, choice: Choice
) -> tuple[Int[Tensor, "b f"], Int[Tensor, "b f"], Int[Tensor, "b f"]]:
    """I, A and F of each image, each factor with the unit that was chosen for it."""
    b, both, on = len(factors), [], []
    for f, (unit, floor) in enumerate(zip(choice.unit.tolist(), choice.floor.tolist(), strict=True)):  # fmt: skip # noqa: E501
        mine = only(slots, (slots.unit == unit) & (slots.weight > floor))
        on.append(mine.image.bincount(minlength=b))
        both.append(mine.image[factors[mine.image, mine.position, f]].bincount(minlength=b))
    return torch.stack(both, 1), torch.stack(on, 1), factors.sum(1)


def aurocs(slots: Slots, factors: Factors) -> Float[Tensor, "k f"]:
    """Equation (2) of every unit; off counts as 0. NaN where a factor is always or never true."""
    k, places = slots.size, factors[..., 0].numel()
    on = slots.unit.bincount(minlength=k)
    off, rank = places - on, mean_ranks(slots)
    hits, found = factors[slots.image, slots.position], []
    for f, true in enumerate(factors.sum((0, 1)).tolist()):
        hit = hits[:, f]
        held = slots.unit[hit].bincount(minlength=k)
        ranks = slots.unit[hit].bincount((off[slots.unit] + rank)[hit], minlength=k)
        ranks = ranks + (true - held) * (off + 1) / 2
        pairs = true * (places - true)
        found.append((ranks - true * (true + 1) / 2) / (pairs or torch.nan))  # (2)
    return torch.stack(found, 1)


def mean_ranks(slots: Slots) -> Float[Tensor, " m"]:
    """The rank of each slot among those of its unit, from 1, tied ones sharing their mean rank."""
    order = slots.weight.argsort(stable=True)
    order = order[slots.unit[order].argsort(stable=True)]
    unit, weight = slots.unit[order], slots.weight[order]
    fresh = torch.ones(len(order), dtype=torch.bool)
    fresh[1:] = (unit[1:] != unit[:-1]) | (weight[1:] != weight[:-1])
    run = fresh.cumsum(0) - 1
    many = run.bincount()
    middle = many.cumsum(0) - many + (many + 1) / 2
    first = slots.unit.bincount(minlength=slots.size)
    before = (first.cumsum(0) - first)[unit]
    return torch.empty_like(slots.weight).scatter(0, order, (middle[run] - before).double())
