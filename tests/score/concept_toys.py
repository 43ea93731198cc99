"""Pictures made of known parts on a small grid, and codes that mark them or do not."""

import torch
from torch import Tensor

from legenda.core.codes import Codes

GRID = (6, 7)
CELLS = GRID[0] * GRID[1]


def lot(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sparse(dense: Tensor, slots: int | None = None) -> Codes:
    """Codes of `b n k` weights, the strongest slots first; what is left over is padding."""
    weight, index = dense.topk(slots or dense.shape[2], dim=2)
    return Codes(index, weight, dense.shape[2])


def parts(b: int = 12, p: int = 3, seed: int = 0, scale: int = 1) -> Tensor:
    """Masks `b p h w`: a rectangle for each part that an image shows, two in three."""
    g, (h, w) = lot(seed), GRID
    masks = torch.zeros(b, p, h, w, dtype=torch.bool)
    for i in range(b):
        for q in range(p):
            if torch.rand((), generator=g) < 0.67:
                top, left = (int(torch.randint(0, size - 2, (), generator=g)) for size in (h, w))
                masks[i, q, top : top + 2, left : left + 3] = True
    return masks.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def marking(masks: Tensor, extra: int = 4, share: float = 0.2, seed: int = 1) -> Tensor:
    """Weights `b n k`: unit q is on in part q, the `extra` ones anywhere."""
    g = lot(seed)
    b, p = masks.shape[:2]
    own = masks.flatten(2).mT.float() * (0.5 + torch.rand(b, CELLS, p, generator=g))
    noise = torch.rand(b, CELLS, extra, generator=g)
    noise = noise * (torch.rand(b, CELLS, extra, generator=g) < share)
    return torch.cat([own, noise], 2)


def mixed(b: int = 12, k: int = 6, share: float = 0.25, seed: int = 2) -> Tensor:
    """Weights `b n k` without any plan."""
    g = lot(seed)
    weights = torch.rand(b, CELLS, k, generator=g)
    return weights * (torch.rand(b, CELLS, k, generator=g) < share)


def resampled(estimate, images: int, seed: int = 0, draws: int = 400) -> tuple[float, float]:
    """The literal bootstrap over images: `estimate(rows)` computed anew for every draw."""
    g = lot(seed)
    found = torch.tensor(
        [estimate(torch.randint(images, (images,), generator=g)) for _ in range(draws)],
        dtype=torch.float64,
    )
    found = found[found.isfinite()]
    low, high = found.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high
