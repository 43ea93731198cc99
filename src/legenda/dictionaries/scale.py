"""How large activations are, so that the settings of a paper need not depend on it.

    s² = mean over rows of ‖x - b‖²                                       (1)

taken once, when a dictionary begins, and kept with it as the buffer `scale`. The figures of a step
are told here, too.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.dictionaries.autoencoder import Rows, Slots, SparseAutoencoder
from legenda.dictionaries.auxiliary import Revival, listen, silent
from legenda.types import Atoms


def measure(module: SparseAutoencoder, rows: Rows) -> SparseAutoencoder:
    """Keep s of equation (1) with a dictionary, and begin to count how long units are silent."""
    s = (rows - module.bias.detach()).square().sum(1).mean().sqrt()  # (1)
    module.register_buffer("scale", s.to(module.bias))
    return listen(module)


def scale(module: SparseAutoencoder) -> Float[Tensor, ""]:
    """S of equation (1)."""
    return module.get_buffer("scale")


def written(atoms: Atoms, slots: Slots) -> Float[Tensor, "r d"]:
    """Σ_j z_j d_j of each row, without anything k wide."""
    index, weight = slots
    return torch.nn.functional.embedding_bag(index, atoms, mode="sum", per_sample_weights=weight)


@torch.no_grad()
def told(
    module: SparseAutoencoder, rows: Rows, rest: Rows, codes: Slots | Float[Tensor, "r k"]
) -> dict[str, float]:
    """Figures of a step: fvu against the mean, l0, and shares of dead and of unused units."""
    if isinstance(codes, tuple):
        counts = codes[0][codes[1] > 0].bincount(minlength=len(module))
    else:
        counts = (codes > 0).sum(0)
    silent(module).add_(len(rows))[counts > 0] = 0
    return {
        "fvu": unexplained(rows, rest),
        "l0": float(counts.sum()) / max(1, len(rows)),
        "dead": float((silent(module) >= Revival().after).double().mean()),
        "idle": float((counts == 0).double().mean()),
    }


def unexplained(rows: Rows, rest: Rows) -> float:
    """Fraction of the variance of these rows that is left in `rest`, x - x̂."""
    spread = float((rows - rows.mean(0)).square().sum())
    return float(rest.detach().square().sum()) / spread if spread else float("nan")
