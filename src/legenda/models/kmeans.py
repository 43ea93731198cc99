"""k-means: a few entries near which many cells lie.

    i(a) = argmin_k ‖a - c_k‖²                           the entry of a cell            (1)
    c_k ← the mean of the cells whose entry it is        which never raises D           (2)
    P(a begins as an entry) ∝ min_k ‖a - c_k‖²           over the entries so far        (3)

where D, the distortion, is the mean of ‖a - c_i(a)‖². Of a few cells drawn by (3) the one that
lowers D most begins. (2) is repeated until no cell changes its entry: a fixed point, which need
not be the best there is. An entry that is nearest to no cell is put where the cell farthest from
its own entry lies. Of very many cells a uniform sample is taken, in one pass; unlike mini-batches
(Sculley) it lets (2) end at a fixed point.

References
----------
Lloyd. Least squares quantization in PCM. IEEE Transactions on Information Theory 1982. (1), (2).
Arthur, Vassilvitskii. k-means++: the advantages of careful seeding. SODA 2007. (3).
Sculley. Web-scale k-means clustering. WWW 2010. Mini-batches, which are not used here.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.codebook import Codebook
from legenda.errors import BadInput, ShapeError
from legenda.models.vq import laid
from legenda.types import Atoms


def sampled(
    latents: Tensor | Iterable[Tensor], most: int, lot: torch.Generator
) -> Float[Tensor, "r d"]:
    """Cells in their order, all of them or `most`, those of the smallest lots."""
    kept, lots = None, torch.zeros(0, dtype=torch.float64)
    for cells in cells_of(latents):
        lots = torch.cat([lots, torch.rand(len(cells), generator=lot, dtype=torch.float64)])
        kept = cells if kept is None else torch.cat([kept, cells])
        if len(kept) > most:
            stay = lots.argsort(stable=True)[:most].sort().values
            kept, lots = kept[stay], lots[stay]
    if kept is None or not len(kept):
        raise nothing()
    return kept


def cells_of(latents: Tensor | Iterable[Tensor]) -> Iterator[Float[Tensor, "r d"]]:
    """The cells of each batch, on the processor, where sums keep their order and their bits."""
    width = None
    for number, part in enumerate([latents] if isinstance(latents, Tensor) else latents):
        if part.ndim not in (3, 4):
            raise ShapeError(
                "a codebook is fitted to latents (b n d) or (b d y x); batch "
                f"{number} has the shape {tuple(part.shape)}. Give an encoder's grid."
            )
        cells = (laid(part) if part.ndim == 4 else part).detach().flatten(0, 1).cpu()
        wrong = int((~cells.isfinite()).any(1).sum())
        if wrong:
            raise BadInput(
                f"a codebook is fitted to finite latents; {wrong} of {len(cells)} cells of batch "
                f"{number} hold NaN or infinity. Check the weights and the pictures."
            )
        if width is not None and cells.shape[1] != width:
            raise ShapeError(
                f"the latents of one autoencoder have one width; batch {number} has "
                f"{cells.shape[1]}, those before it {width}. Encode all of them alike."
            )
        width = cells.shape[1]
        yield cells if cells.dtype == torch.float64 else cells.float()


def nothing() -> BadInput:
    """What is said where there are no latents at all."""
    return BadInput("a codebook needs latents; it was given none. Give at least one picture.")


def first_entries(
    cells: Float[Tensor, "r d"], entries: int, lot: torch.Generator, candidates: int = 3
) -> Atoms:
    """Equation (3): cells to begin with; of a few candidates each time, the one that helps most."""
    cells = cells.double()
    chosen = [int(torch.randint(len(cells), (1,), generator=lot))]
    gaps = _distances(cells, cells[chosen]).square()[:, 0]
    for _ in range(entries - 1):
        share = gaps.cumsum(0)  # (3)
        at = torch.rand(candidates, generator=lot, dtype=torch.float64) * share[-1]
        rows = torch.searchsorted(share, at, right=True).clamp(max=len(cells) - 1)
        left = _distances(cells, cells[rows]).square().minimum(gaps[:, None])
        best = int(left.sum(0).argmin())
        chosen.append(int(rows[best]))
        gaps = left[:, best].contiguous()
    return cells[chosen]


def lloyd(cells: Float[Tensor, "r d"], entries: Atoms, rounds: int = 100) -> Atoms:
    """Equation (2) in float64, until no cell changes its entry or the rounds are over."""
    cells, entries, before = cells.double(), entries.double(), None
    for _ in range(rounds):
        index, distance = (found[0] for found in Codebook(entries).nearest(cells[None]))  # (1)
        counts = torch.bincount(index, minlength=len(entries))
        if not counts.all():
            entries, before = _moved(cells, entries, counts == 0, distance), None
            continue
        if before is not None and torch.equal(index, before):
            break
        entries = torch.zeros_like(entries).index_add_(0, index, cells) / counts[:, None]  # (2)
        before = index
    return entries


def _distances(cells: Float[Tensor, "r d"], entries: Atoms) -> Float[Tensor, "r k"]:
    """By differences, so that equal cells are exactly 0 apart."""
    return torch.cdist(cells, entries, compute_mode="donot_use_mm_for_euclid_dist")


def _moved(
    cells: Float[Tensor, "r d"], entries: Atoms, dead: Tensor, distance: Float[Tensor, " r"]
) -> Atoms:
    """Dead entries, one after the other, where the cell farthest from its entry lies."""
    entries = entries.clone()
    for row in dead.nonzero().flatten().tolist():
        entries[row] = cells[distance.argmax()]
        distance = distance.minimum(_distances(cells, entries[row][None])[:, 0])
    return entries
