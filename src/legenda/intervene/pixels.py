"""Interventions on pixels: erase, blur, paste, impute, `b c h w -> b c h w`.

Every one changes only the pixels in `where`, and returns `x` itself where nothing is chosen.

`noisy_linear` is ROAD's imputation: an erased pixel is the weighted mean of its neighbours,
erased or not, so that an image without it betrays as little as possible of the mask's shape,

    z_p = Σ_q w_pq z_q / Σ_q w_pq,       p erased, q a neighbour of p in the image    (1)
    w_pq = 1/6 beside, above or below p, 1/12 across the corner                       (2)
    z'_p = z_p + η,                      η ~ N(0, noise²)                             (3)

Differs from the official code: the noise is one field drawn from `seed` and used for every image
of the batch, because an image must not depend on its batch-mates; and an image of which nothing
is left becomes zero (the mean colour) plus noise, because the system then has no solution.

References
----------
Rong, Leemann, Borisov, Kasneci, Kasneci. A consistent and efficient evaluation strategy for
attribution methods. ICML 2022. Section 5.2, noisy linear imputation.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu
from torch import Tensor

from legenda.core.gaussian import gaussian
from legenda.errors import BadInput, ShapeError

# (down, right, weight), equation (2)
NEIGHBOURS = (
    *((down, right, 1 / 6) for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0))),
    *((down, right, 1 / 12) for down, right in ((-1, -1), (-1, 1), (1, -1), (1, 1))),
)


def erase(
    x: Float[Tensor, "b c h w"],
    where: Bool[Tensor, "b h w"],
    fill: float | Float[Tensor, " c"] = 0.0,
) -> Float[Tensor, "b c h w"]:
    """Fill with one colour; zero is the mean colour of a normalised image."""
    colour = torch.as_tensor(fill, dtype=x.dtype, device=x.device)
    return paste(x, colour.reshape(1, -1, 1, 1).expand_as(x), where)


def blur(
    x: Float[Tensor, "b c h w"], where: Bool[Tensor, "b h w"], sigma: float
) -> Float[Tensor, "b c h w"]:
    """Blur by a Gaussian of `sigma` pixels; larger leaves less. The border is renormalised."""
    if not sigma > 0:
        raise BadInput(f"blur needs a sigma above 0 pixels; got {sigma}")
    down, across = gaussian(x.shape[2], sigma).to(x), gaussian(x.shape[3], sigma).to(x)
    return paste(x, down @ x @ across.T, where)


def paste(
    x: Float[Tensor, "b c h w"], other: Float[Tensor, "b c h w"], where: Bool[Tensor, "b h w"]
) -> Float[Tensor, "b c h w"]:
    """Take the pixels in `where` from another image."""
    return torch.where(where[:, None], other, x) if where.any() else x


def noisy_linear(
    x: Float[Tensor, "b c h w"], where: Bool[Tensor, "b h w"], seed: int = 0, noise: float = 0.01
) -> Float[Tensor, "b c h w"]:
    """Replace by what the neighbours predict; a larger `noise` hides the smoothness of it."""
    if not noise >= 0:
        raise BadInput(f"noisy_linear needs noise of 0 or more; got {noise}")
    if not where.any():
        return x
    images = x.detach().to("cpu", torch.float64).permute(0, 2, 3, 1).numpy()
    gone = where.cpu().numpy()
    filled = np.stack([_imputed(image, out) for image, out in zip(images, gone, strict=True)])
    generator = torch.Generator().manual_seed(seed)
    eta = noise * torch.randn(x.shape[1:], generator=generator, dtype=torch.float64)  # (3)
    return paste(x, (torch.from_numpy(filled).permute(0, 3, 1, 2) + eta).to(x), where)


def upsample(
    scores: Float[Tensor, "b n"],
    grid: tuple[int, int],
    size: tuple[int, int],
    how: Literal["nearest", "bilinear"] = "bilinear",
) -> Float[Tensor, "b h w"]:
    """Spread one score per patch over an image of `size` (h, w), from the patches' centres."""
    if scores.shape[1] != grid[0] * grid[1]:
        raise ShapeError(
            f"upsample needs one score per patch, {grid[0]} x {grid[1]} = {grid[0] * grid[1]}; "
            f"got {scores.shape[1]}. Leave out special tokens."
        )
    maps = scores.reshape(-1, 1, *grid)
    if how == "nearest":
        return F.interpolate(maps, size, mode="nearest-exact")[:, 0]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[:, 0]


def _imputed(image: Float[np.ndarray, "h w c"], gone: Bool[np.ndarray, "h w"]) -> np.ndarray:
    """Solve (1) for the erased pixels of one image, one factorisation for all channels."""
    filled = np.where(gone[..., None], 0.0, image)
    if gone.any() and not gone.all():
        system, known = _system(filled, gone)
        factors = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        filled[gone] = factors.solve(known)
    return filled


def _system(
    image: Float[np.ndarray, "h w c"], gone: Bool[np.ndarray, "h w"]
) -> tuple[csc_matrix, Float[np.ndarray, "m c"]]:
    """Write (1) as A z = b: Σ_q w_pq z_p - Σ_erased w_pq z_q = Σ_known w_pq z_q."""
    (h, w), erased = gone.shape, int(gone.sum())
    number = np.full(gone.shape, -1)
    number[gone] = np.arange(erased)
    rows, columns = np.nonzero(gone)
    total, known = np.zeros(erased), np.zeros((erased, image.shape[2]))
    entries = []
    for down, right, weight in NEIGHBOURS:
        r, c = rows + down, columns + right
        p = np.flatnonzero((r >= 0) & (r < h) & (c >= 0) & (c < w))
        r, c = r[p], c[p]
        total[p] += weight
        known[p] += weight * image[r, c]  # erased pixels hold zero here
        out = gone[r, c]
        entries.append((p[out], number[r[out], c[out]], np.full(out.sum(), -weight)))
    entries.append((np.arange(erased), np.arange(erased), total))
    p, q, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    return csc_matrix(coo_matrix((values, (p, q)), shape=(erased, erased))), known
