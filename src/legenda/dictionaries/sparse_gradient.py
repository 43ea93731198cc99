"""The gradient of a sparse code: what is on alone is read, written and taught.

Of k units q slots are on, a few for each row. With z their weights, x̂ = Z D + b and G = ∂L/∂x̂,

    ∂L/∂z_ri = g_r · d_i            at the slots that are on              (1)
    ∂L/∂D    = Z^T G                                                      (2)
    ∂L/∂E    = A^T (X - b),         A_ri = ∂L/∂z_ri at the same slots     (3)
    ∂L/∂b    = Σ_r g_r - Σ_i (Σ_r A_ri) e_i                               (4)

Each costs q times the width, where dense products cost rows times units times the width. For nested
groups of units, x̂_≤g is what the first g groups write, and L = Σ_g w_g ‖x - x̂_≤g‖² / rows. A unit
of group g hears the gradients of all sums that it is part of,

    G_g = Σ_(h ≥ g) (2 w_h / rows) (x̂_≤h - x)                             (5)

References
----------
Gale, Zaharia, Young, Elsen. Sparse GPU kernels for deep learning. SC 2020. Products of a sparse and
a dense array, and dense products sampled at the entries of a sparse one, as (1).
Bussmann, Nabeshima, Karvonen, Nanda. Learning multi-level features with Matryoshka sparse
autoencoders. ICML 2025. Sums of nested groups.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from legenda.dictionaries.autoencoder import Rows, Slots, SparseAutoencoder
from legenda.types import Atoms

Weights = Float[Tensor, " q"]


@dataclass(frozen=True, eq=False)
class Filled:
    """The q slots that are on, row after row; in each row the units rise.

    Slots `starts[r]` to `starts[r + 1]` belong to row r.
    """

    starts: Int[Tensor, " r1"]
    units: Int[Tensor, " q"]
    weights: Weights
    size: int

    def __len__(self) -> int:
        return len(self.units)

    @cached_property
    def rows(self) -> Int[Tensor, " q"]:
        """The row of each slot."""
        return rows_of(self.starts, len(self.units))

    @cached_property
    def counts(self) -> Int[Tensor, " k"]:
        """At how many rows each unit is on."""
        return self.units.bincount(minlength=self.size)

    @cached_property
    def by_unit(self) -> tuple[Int[Tensor, " q"], Int[Tensor, " k1"]]:
        """The order that puts slots unit after unit, and where each unit starts."""
        return self.units.argsort(stable=True), torch.nn.functional.pad(
            self.counts.cumsum(0), (1, 0)
        )

    def kept(self, which: Tensor) -> "Filled":
        """Some of the slots, by a mask (q)."""
        held = torch.nn.functional.pad(which.cumsum(0), (1, 0))
        return Filled(held[self.starts], self.units[which], self.weights[which], self.size)

    def slots(self) -> Slots:
        """The same as rows of equal length, the strongest first."""
        widths = self.starts.diff()
        widest = max(1, int(widths.max())) if len(widths) else 1
        place = torch.arange(len(self), device=self.units.device) - self.starts[self.rows]
        weight = self.weights.new_zeros(len(widths), widest)
        weight[self.rows, place] = self.weights
        index = self.units.new_full(weight.shape, -1)
        index[self.rows, place] = self.units
        weight, order = weight.sort(dim=1, descending=True, stable=True)
        return spared(index.gather(1, order)), weight


def rows_of(starts: Int[Tensor, " r1"], count: int) -> Int[Tensor, " q"]:
    """To which row each slot belongs."""
    rows = torch.arange(len(starts) - 1, device=starts.device)
    return rows.repeat_interleave(starts.diff(), output_size=count)


def spared(index: Int[Tensor, "r j"]) -> Int[Tensor, "r j"]:
    """Slots of -1 get units that are in no slot of their row."""
    taken = torch.zeros(len(index), index.shape[1] + 1, dtype=torch.bool, device=index.device)
    taken.scatter_(1, index.where((index >= 0) & (index < index.shape[1]), index.shape[1]), True)
    free = taken[:, :-1].to(torch.uint8).argsort(dim=1, stable=True)
    empty = index < 0
    nth = (empty.cumsum(1) - 1).clamp(min=0)
    return free.gather(1, nth).where(empty, index)


@cache
def hushed() -> None:
    """Let torch say that its sparse arrays are young, which it says once, where nobody listens."""
    none = torch.zeros(0, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(
            none.new_zeros(1), none, none.float(), (0, 1), check_invariants=False
        )


def dots(rows: Rows, atoms: Atoms, starts: Tensor, units: Int[Tensor, " q"]) -> Weights:
    """Equation (1): each dot product is a sum of its own, whatever stands beside it."""
    hushed()
    where = torch.sparse_csr_tensor(
        starts, units, rows.new_zeros(len(units)), (len(rows), len(atoms)), check_invariants=False
    )
    return torch.sparse.sampled_addmm(where, rows, atoms.T, beta=0).values()


def sums(
    weights: Weights, index: Int[Tensor, " q"], starts: Int[Tensor, " r1"], table: Tensor
) -> Tensor:
    """Rows of a table, each times its weight, summed from start to start."""
    return embedding_bag(
        index, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class Read(torch.autograd.Function):
    """Weights that were read before, with their gradient: equations (3) and (4)."""

    @staticmethod
    def forward(
        ctx: Any, centred: Rows, encoder: Atoms, offset: Tensor, bias: Tensor, on: Filled
    ) -> Weights:
        ctx.save_for_backward(centred, encoder)
        ctx.on = on
        return on.weights.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Weights) -> tuple[Tensor | None, ...]:
        centred, encoder = ctx.saved_tensors
        on, (slope,) = ctx.on, grads
        order, starts = on.by_unit
        of_encoder = sums(slope[order], on.rows[order], starts, centred)  # (3)
        of_offset = torch.zeros_like(encoder[:, 0]).index_add_(0, on.units, slope)
        return None, of_encoder, of_offset, -(of_offset @ encoder), None  # (4)


class Nested(torch.autograd.Function):
    """Σ_g w_g ‖x - x̂_≤g‖² / rows, and x - x̂: equations (1), (2) and (5)."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Weights,
        decoder: Atoms,
        bias: Float[Tensor, " d"],
        rows: Rows,
        on: Filled,
        groups: Sequence[int],
        shares: Sequence[float],
    ) -> tuple[Float[Tensor, ""], Rows]:
        starts = split(on, groups)
        rest = sums(weights, on.units, starts, decoder).unflatten(0, (len(rows), len(groups)))
        rest[:, 0] += bias - rows
        loss = weights.new_zeros(())
        for g, share in enumerate(shares):
            if g:
                rest[:, g] += rest[:, g - 1]
            loss += share * torch.linalg.vector_norm(rest[:, g]).square() / max(1, len(rows))
        ctx.save_for_backward(weights, decoder, rest, starts)
        ctx.on, ctx.shares = on, shares
        left = -rest[:, -1]
        ctx.mark_non_differentiable(left)
        return loss, left

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weights, decoder, rest, starts = ctx.saved_tensors
        factor = rest.new_tensor(ctx.shares) * grads[0] * 2 / max(1, len(rest))
        slope = rest * factor[:, None]
        for g in range(len(ctx.shares) - 2, -1, -1):
            slope[:, g] += slope[:, g + 1]  # (5)
        order, begin = ctx.on.by_unit
        place = rows_of(starts, len(weights))
        of_weights = dots(slope.flatten(0, 1), decoder, starts, ctx.on.units)  # (1)
        of_decoder = sums(weights[order], place[order], begin, slope.flatten(0, 1))  # (2)
        return of_weights, of_decoder, slope[:, 0].sum(0), None, None, None, None


def error(
    module: SparseAutoencoder,
    rows: Rows,
    on: Filled,
    groups: Sequence[int] = (),
    shares: Sequence[float] = (1.0,),
) -> tuple[Float[Tensor, ""], Rows]:
    """Σ_g w_g ‖x - x̂_≤g‖² / rows and what is left, x - x̂, from the units that are on."""
    groups = groups or (len(module.decoder),)
    centred, bias = rows - module.bias.detach(), module.bias
    weights = Read.apply(centred, module.encoder, module.offset, bias, on)
    return Nested.apply(weights, module.decoder, bias, rows, on, groups, shares)  # type: ignore[return-value]


def split(on: Filled, groups: Sequence[int]) -> Int[Tensor, " p1"]:
    """Where each group of units starts in each row, if group after group is written."""
    if len(groups) == 1:
        return on.starts
    first = torch.tensor([0, *accumulate(groups)][:-1], device=on.units.device)
    flat = on.rows * on.size + on.units  # rises from slot to slot
    rows = torch.arange(len(on.starts) - 1, device=on.units.device)
    begin = torch.searchsorted(flat, (rows[:, None] * on.size + first).flatten())
    return torch.cat([begin, on.starts[-1:]])
