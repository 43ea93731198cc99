"""A small world of words and units whose names are known."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor
from torch.nn.functional import normalize

from legenda.corpus.unit_survey import Exemplars, UnitSurvey
from legenda.describe.vocabulary import Vocabulary

WIDTH = 48


def embed_text(texts: Sequence[str]) -> Float[Tensor, "t e"]:
    """A text is the mean of fixed directions of its words: texts that share words are near."""
    rows = [torch.stack([direction(word) for word in text.split()]).mean(0) for text in texts]
    return normalize(torch.stack(rows), dim=1)


def direction(word: str) -> Float[Tensor, " e"]:
    """The direction of one word, the same in every run."""
    seed = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def random(rows: int, seed: int, width: int = WIDTH) -> Float[Tensor, "k e"]:
    """Directions drawn by lot."""
    lot = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, width, generator=lot), dim=1)


def numbered(count: int) -> Vocabulary:
    """Words w0, w1, …"""
    return Vocabulary(tuple(f"w{i}" for i in range(count)), source="toy")


def survey_of(codes: np.ndarray, top: int = 5, images: int | None = None) -> UnitSurvey:
    """The survey of dense codes (r k), one position a row, literally."""
    r, k = codes.shape
    on = codes > 1e-3
    kept = min(top, r)
    value = np.zeros((k, kept))
    image, position = np.full((k, kept), -1), np.full((k, kept), -1)
    index = np.tile(np.arange(k), (k, kept, 1))
    weight = np.zeros((k, kept, k))
    for unit in range(k):
        order = [row for row in np.argsort(-codes[:, unit], kind="stable")[:kept] if on[row, unit]]
        for m, row in enumerate(order):
            value[unit, m], image[unit, m], position[unit, m] = codes[row, unit], row, 0
            weight[unit, m] = codes[row]
    together = on.T.astype(np.int64) @ on.astype(np.int64)
    weighted = codes.T @ on.astype(np.float64)
    return UnitSurvey(
        "toy/sae", (1, 1), tuple(map(str, range(r))), r,
        on.sum(0), on.sum(0), codes.sum(0), (codes**2).sum(0), codes.max(0),
        np.array([0.0, 1.0]), np.zeros((k, 1), dtype=np.int64),
        Exemplars(value, image, position, index, weight),
        sparse.csr_array(together), sparse.csr_array(weighted),
    )  # fmt: skip
