"""Selection: the strongest of very many readings, most of which are never made exactly.

A reading a_i = e_i · x + c_i is first made roughly, by one product for all units, which may run in
bfloat16. Let x̃, ẽ and c̃ be what x, e and c are rounded to. A rough reading ã is wrong by

    β = ‖x‖ max ‖e - ẽ‖ + ‖x - x̃‖ max ‖ẽ‖ + max |c - c̃| + γ (‖x‖ max ‖e‖ + max |c|)     (1)

at most (Cauchy-Schwarz; γ bounds the rounding of a sum), and then by the rounding of the result.
Whoever is among the k largest has therefore

    ã_i ≥ ã_(k) - 2β                                                                     (2)

Units are looked for in sets: the k-th largest of the sets' maxima is no larger than ã_(k), and a
set whose maximum is below the right side of (2) holds nobody. Only those few that are left are read
again, each by a dot product of its own in full precision, and chosen from. So neither the precision
of the first product, nor the rows beside a row, change a bit of the result. Equal readings: the
lower unit wins, and the lower row before it.

References
----------
Higham. Accuracy and stability of numerical algorithms. SIAM 2002. Section 3.1: (1).
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from legenda.dictionaries.autoencoder import Rows
from legenda.dictionaries.sparse_gradient import Filled, dots
from legenda.types import Atoms

AT_ONCE = 512
"""So many rows are read at once: what is k wide exists for these only, and stays in the cache."""
SAMPLE = 128
"""From so many rows it is guessed where the strongest readings of a batch begin."""


def native(device: torch.device) -> bool:
    """Whether this processor multiplies bfloat16 by itself; otherwise it is slower than float32."""
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and bool(asked and asked())


def rough(
    rows: Rows, encoder: Atoms, offset: Float[Tensor, " k"], half: bool | None
) -> Iterator[tuple[int, Float[Tensor, "r k"], Float[Tensor, " r"]]]:
    """Part by part: where it starts, ã, and β of equation (1)."""
    half = native(rows.device) if half is None else half and rows.device.type == "cpu"
    low = torch.bfloat16 if half else rows.dtype
    x, e, c = rows.to(low), encoder.to(low), offset.to(low)
    wrong = bound((rows, x), (encoder, e), (offset, c))
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield start, torch.addmm(c, x[part], e.T), wrong[part]


def bound(
    rows: tuple[Rows, Tensor], encoder: tuple[Atoms, Tensor], offset: tuple[Tensor, Tensor]
) -> Float[Tensor, " r"]:
    """Equation (1) for each row, of pairs of what is meant and what it was rounded to."""
    (x, x_), (e, e_), (c, c_) = rows, encoder, offset
    length, longest = x.norm(dim=1), e.norm(dim=1).max()
    gamma = 4 * (x.shape[1] + 2) * torch.finfo(x.dtype).eps
    if torch.get_float32_matmul_precision() != "highest":
        gamma += 2**-6  # then torch may itself round what it multiplies
    wrong = gamma * (length * longest + c.abs().max())
    if x_ is not x:
        wrong = wrong + length * (e - e_).norm(dim=1).max() + (c - c_).abs().max()
        wrong = wrong + 1.01 * (x - x_).norm(dim=1) * longest
    return 1.01 * wrong


def lowered(
    edge: Float[Tensor, " r"], wrong: Float[Tensor, " r"], kind: torch.dtype
) -> Float[Tensor, "r 1"]:
    """The right side of equation (2), or what no reading above 0 is below, in a rough precision."""
    unit = 1.1 * torch.finfo(kind).eps
    edge = edge.to(wrong)
    least = torch.maximum(edge - unit * edge.abs() - 2 * wrong, -wrong)
    return (least - 2 * unit * least.abs()).to(kind)[:, None]


def folded(
    readings: Float[Tensor, "r k"], k: int
) -> tuple[Float[Tensor, "r w p"], Float[Tensor, "r p"]]:
    """Units in p sets of w, p well above k if it can be, and the maximum of each set."""
    size = readings.shape[1]
    width = next(w for w in (16, 8, 4, 2, 1) if w == 1 or (size % w == 0 and size >= 8 * k * w))
    sets = readings.unflatten(1, (width, -1))
    return sets, sets.amax(1)


def again(
    rows: Rows,
    encoder: Atoms,
    offset: Float[Tensor, " k"],
    sets: tuple[Float[Tensor, "r w p"], Float[Tensor, "r p"]],
    least: Float[Tensor, "r 1"],
) -> Filled:
    """Exact readings of those whose rough one is not below the least, if they are above 0."""
    members, best = sets
    row, place = (best >= least).nonzero().T
    which, inside = (members[row, :, place] >= least[row]).nonzero().T
    flat = row[which] * len(encoder) + inside * best.shape[1] + place[which]
    flat = flat.sort().values
    row, units = flat // len(encoder), flat % len(encoder)
    starts = pad(row.bincount(minlength=len(rows)).cumsum(0), (1, 0))
    weights = dots(rows, encoder, starts, units) + offset[units]
    found = Filled(starts, units, weights, len(encoder))
    return found.kept(weights > 0)


@torch.no_grad()
def strongest(
    rows: Rows, encoder: Atoms, offset: Float[Tensor, " k"], k: int, half: bool | None = None
) -> Filled:
    """Of each row the k largest readings that are above 0."""
    found = []
    for start, readings, wrong in rough(rows, encoder, offset, half):
        sets = folded(readings, k)
        edge = sets[1].topk(k, dim=1, sorted=False).values.amin(1)  # at most that of (2)
        least = lowered(edge, wrong, readings.dtype)  # (2)
        held = again(rows[start : start + len(readings)], encoder, offset, sets, least)
        found.append(held.kept(first_of_rows(held, k)))
    return joined(found, len(encoder), rows)


@torch.no_grad()
def above(
    rows: Rows, encoder: Atoms, offset: Float[Tensor, " k"], threshold: float,
    half: bool | None = None,
) -> Filled:  # fmt: skip
    """All readings above a threshold, and above 0."""
    found = []
    for start, readings, wrong in rough(rows, encoder, offset, half):
        least = lowered(torch.full_like(wrong, threshold), wrong, readings.dtype)
        part = rows[start : start + len(readings)]
        held = again(part, encoder, offset, folded(readings, 1), least)
        found.append(held.kept(held.weights > threshold))
    return joined(found, len(encoder), rows)


@torch.no_grad()
def strongest_of_all(
    rows: Rows, encoder: Atoms, offset: Float[Tensor, " k"], count: int, half: bool | None = None
) -> Filled:
    """Of all rows together the largest readings that are above 0, so many of them."""
    found = Filled(*(rows.new_zeros(1).long(), rows.new_zeros(0).long()), rows.new_zeros(0), 0)
    for threshold in guesses(rows, encoder, offset, count, half):
        found = above(rows, encoder, offset, threshold, half)
        if len(found) >= count or threshold <= 0:
            break
    if len(found) <= count:
        return found
    edge = found.weights.topk(count, sorted=False).values.min()
    keep, tie = found.weights > edge, found.weights == edge
    spare = count - int(keep.sum())
    return found.kept(keep | (tie & (tie.cumsum(0) <= spare)))


def guesses(
    rows: Rows, encoder: Atoms, offset: Float[Tensor, " k"], count: int, half: bool | None
) -> Iterator[float]:
    """Thresholds, falling, that a few more than so many readings should be above; 0 at last."""
    some = rows[:: max(1, len(rows) // SAMPLE)]
    each = min(len(encoder), 8 * -(-count // max(1, len(rows))))
    held = [r.topk(each, dim=1).values.float() for _, r, _ in rough(some, encoder, offset, half)]
    best = torch.cat(held).flatten().sort(descending=True).values if held else rows.new_zeros(1)
    for factor in (1.25, 2.5, 5.0):
        place = int(factor * count * len(some) / max(1, len(rows)))
        if place < len(best) and float(best[place]) > 0:
            yield float(best[place])
    yield 0.0


def first_of_rows(found: Filled, k: int) -> Bool[Tensor, " q"]:
    """Which slots are the k strongest of their row; of equal ones the first."""
    widths = found.starts.diff()
    widest = int(widths.max()) if len(widths) else 0
    if widest <= k:
        return torch.ones_like(found.units, dtype=torch.bool)
    place = torch.arange(len(found), device=found.units.device) - found.starts[found.rows]
    table = found.weights.new_full((len(widths), widest), -torch.inf)
    table[found.rows, place] = found.weights
    edge = table.topk(k, dim=1, sorted=False).values.amin(1, keepdim=True)
    keep, tie = table > edge, table == edge
    spare: Int[Tensor, "r 1"] = k - keep.sum(1, keepdim=True)
    keep |= tie & (tie.cumsum(1) <= spare)
    return keep[found.rows, place]


def joined(parts: list[Filled], size: int, like: Rows) -> Filled:
    """The rows of all parts, one part after another."""
    nothing = like.new_zeros(0)
    widths = torch.cat([nothing.long(), *(part.starts.diff() for part in parts)])
    units = torch.cat([nothing.long(), *(part.units for part in parts)])
    weights = torch.cat([nothing, *(part.weights for part in parts)])
    return Filled(pad(widths.cumsum(0), (1, 0)), units, weights, size)
