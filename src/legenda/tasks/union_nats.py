"""What tokens matter, by nats and by slopes: the information bottleneck beside token importance.

A concept model with a channel says how many nats it pays for each token; any other is asked by a
bottleneck that is fitted to each picture. The published importance of a token (TIS) is a slope.
Both give a number for each cell, and a token has the mean over its cells, with an interval over
pictures. The control of either is the same map dealt to the cells of its picture by lot.

Do they agree? With r_k the rank of token k by either, and r_i that of cell i of a picture,

    ρ_tokens = Spearman over tokens,   ρ_cells = its mean over pictures   (1)

beside what maps by lot give. That they agree does not prove either: see the masking curves.

References
----------
Schulz, Sixt, Tombari, Landgraf. Restricting the flow: information bottlenecks for attribution.
ICLR 2020. Nats.
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. TIS.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, UInt16

from legenda.concepts.model import ConceptModel
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.token_importance import TokenImportance
from legenda.explain.token_information import Charges, TokenInformation
from legenda.tasks.token_counts import Occurrence, occurrence
from legenda.types import Tokens

BATCH, DRAWS = 32, 300
Cells = Float[np.ndarray, "b n"]
TokenMaps = UInt16[np.ndarray, "b n"]


@dataclass(frozen=True, eq=False)
class Weighed:
    """Tokens (k) by both measures.

    Parameters
    ----------
    nats, tis: of each token where it occurs, with intervals over pictures.
    nats_by_lot, tis_by_lot: the same, of maps dealt to cells by lot.
    known: the tokens that enough pictures hold to be compared.
    tokens_agree, cells_agree: equation (1), beside maps by lot.
    """

    nats: Occurrence
    tis: Occurrence
    nats_by_lot: Float[np.ndarray, " k"]
    tis_by_lot: Float[np.ndarray, " k"]
    known: Int[np.ndarray, " t"]
    tokens_agree: Score
    cells_agree: Score


def measured(
    concepts: ConceptModel, tokens: Tokens, numbers: list[int], draws: int = 20, seed: int = 0
) -> tuple[Cells, Cells, str]:
    """Nats and slopes of every cell for what its picture shows; and where the nats come from."""
    units = Units(concepts, concepts.codebook)
    slopes = TokenImportance(draws=draws, seed=seed)
    charged = isinstance(concepts.root, Charges)
    how: Any = TokenInformation() if charged else InformationBottleneck(seed=seed)
    nats, tis = [], []
    for rows in torch.arange(len(tokens)).split(BATCH):
        x, target = tokens[rows], Logit(tuple(numbers[i] for i in rows.tolist()))
        nats.append(how(units, x, target).scores)
        tis.append(slopes(units, x, target).scores)
    by = "what the concept model pays" if charged else "a bottleneck fitted to each picture"
    return plain(nats), plain(tis), by


def plain(parts: list[torch.Tensor]) -> Cells:
    """Scores of many batches as one array."""
    return torch.cat(parts).detach().cpu().double().numpy()


def weighed(
    tokens: TokenMaps, nats: Cells, tis: Cells, size: int, least: int = 5, lots: int = 20,
    seed: int = 0,
) -> Weighed:  # fmt: skip
    """Both measures of every token, and how far they agree.

    Parameters
    ----------
    tokens, nats, tis: of each picture (b) and cell (n).
    size: how many tokens there are.
    least: pictures that a token must be in to be compared; more compare fewer, more surely.
    lots: maps by lot; more know the controls better.
    seed: of those, and of intervals.
    """
    one, other = occurrence(tokens, nats, size), occurrence(tokens, tis, size)
    known = np.flatnonzero(one.images >= least)
    if len(known) < 3:
        raise BadInput(
            f"ranks are compared over three tokens or more that {least} pictures hold; there are "
            f"{len(known)}. Give more pictures, or ask for fewer of each token."
        )
    dealt = [by_lot(nats, tis, seed, lot) for lot in range(lots)]
    means = [[occurrence(tokens, part, size).mean for part in pair] for pair in dealt]
    of_nats, of_tis = (np.mean([pair[i] for pair in means], 0) for i in (0, 1))
    chance = [spearman(pair[0][known], other.mean[known]) for pair in means]
    return Weighed(
        one, other, of_nats, of_tis, known,
        agreement("over tokens", one.mean[known], other.mean[known], chance, seed),
        within(nats, tis, [pair[0] for pair in dealt], seed),
    )  # fmt: skip


def by_lot(nats: Cells, tis: Cells, seed: int, lot: int) -> tuple[Cells, Cells]:
    """Both maps, each dealt to the cells of its picture."""
    draw = np.random.default_rng((seed, lot))
    return draw.permuted(nats, axis=1), draw.permuted(tis, axis=1)


def agreement(
    name: str, one: Float64[np.ndarray, " t"], other: Float64[np.ndarray, " t"],
    chance: list[float], seed: int,
) -> Score:  # fmt: skip
    """Spearman's ρ, with an interval over what is ranked, beside chance with its range."""
    draw, found = np.random.default_rng((seed, 99)), []
    for _ in range(DRAWS):
        some = draw.integers(0, len(one), len(one))
        found.append(spearman(one[some], other[some]))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Score(
        f"rank agreement {name}", spearman(one, other), (float(low), float(high)), len(one), True,
        float(np.mean(chance)), (min(chance), max(chance)), "Spearman's ρ",
    )  # fmt: skip


def within(nats: Cells, tis: Cells, dealt: list[Cells], seed: int) -> Score:
    """Spearman's ρ of the cells of a picture, its mean over pictures, beside maps by lot."""

    def mean(some: Cells) -> torch.Tensor:
        rows = [spearman(a, b) for a, b in zip(some, tis, strict=True)]
        return torch.tensor(rows, dtype=torch.float64).nan_to_num(0.0)

    own, chance = mean(nats), torch.stack([mean(one) for one in dealt]).mean(0)
    return Score(
        "rank agreement within a picture", float(own.mean()), bootstrap(own, seed), len(own), True,
        float(chance.mean()), bootstrap(chance, seed), "Spearman's ρ",
    )  # fmt: skip


def spearman(one: Float64[np.ndarray, " t"], other: Float64[np.ndarray, " t"]) -> float:
    """The correlation of ranks, ties at their mean; 0 where one of them is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(side) - (len(side) + 1) / 2 for side in (one, other))
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length else 0.0
