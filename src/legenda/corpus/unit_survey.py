"""What one pass over a corpus tells of all units at once.

A unit is on at a position where its weight is above the floor τ. With z_ti the weight of unit i at
position t,

    C_ij = Σ_t 1[z_ti > τ] 1[z_tj > τ],      D_ij = Σ_t z_ti 1[z_tj > τ]       (1)

C is exact; C_ii says at how many positions unit i is on. Both are kept sparse, since most units
are never on together. A quantile is known up to the bin that it lies in: edges e_0 < e_1 < … and
counts h_b give the share q of a unit's n weights that are on as

    e_b ≤ quantile ≤ e_(b+1),   b the first with h_0 + … + h_b ≥ ⌈q n⌉           (2)

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1), and exemplars with their codes.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field, fields
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_array

from legenda.core.interval import Interval, wilson
from legenda.errors import BadInput, Missing, Refused

FLOOR = 1e-3
"""τ of equation (1), as published."""


@dataclass(frozen=True, eq=False)
class Exemplars:
    """The m strongest positions of each unit (k), the strongest first; image -1 where there is none.

    `image` counts in the order of `UnitSurvey.keys`; `position` counts in the grid, row by row.
    `index` and `weight` are the whole code of that position (j slots, padded ones weigh 0).
    """  # noqa: E501

    value: Float[np.ndarray, "k m"]
    image: Int[np.ndarray, "k m"]
    position: Int[np.ndarray, "k m"]
    index: Int[np.ndarray, "k m j"]
    weight: Float[np.ndarray, "k m j"]


@dataclass(frozen=True, eq=False)
class UnitSurvey:
    """Statistics of all units (k) over one corpus.

    `active` and `active_images` count positions and images at which a unit is on; `total`,
    `squares` and `largest` are Σ z, Σ z² and max z over all positions; `histogram` counts the
    weights that are on, by the bins between `edges`. `together` is C and `weighted` D of
    equation (1), scipy CSR arrays (k k) of int64 and float64. `refused` are the images that could
    not be read, each with the reason.
    """

    address: str
    grid: tuple[int, int] | None
    keys: tuple[str, ...]
    positions: int
    active: Int[np.ndarray, " k"]
    active_images: Int[np.ndarray, " k"]
    total: Float[np.ndarray, " k"]
    squares: Float[np.ndarray, " k"]
    largest: Float[np.ndarray, " k"]
    edges: Float[np.ndarray, " q"]
    histogram: Int[np.ndarray, "k p"]
    exemplars: Exemplars
    together: Any = field(repr=False)
    weighted: Any = field(repr=False)
    refused: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.active)

    @property
    def images(self) -> int:
        """How many images were read."""
        return len(self.keys)

    def share(self, unit: int) -> float:
        """The share of positions at which a unit is on; `interval` says how sure that is."""
        return int(self.active[unit]) / max(1, self.positions)

    def interval(self, unit: int) -> Interval:
        """95 % interval of `share`, as if positions were drawn one by one.

        Neighbours in an image are alike, so it is too narrow; `image_interval` is not.
        """
        return wilson(int(self.active[unit]), self.positions)

    def image_share(self, unit: int) -> float:
        """The share of images that have a position at which a unit is on."""
        return int(self.active_images[unit]) / max(1, self.images)

    def image_interval(self, unit: int) -> Interval:
        """95 % interval of `image_share`."""
        return wilson(int(self.active_images[unit]), self.images)

    def mean(self, unit: int) -> float:
        """Mean weight over all positions, those included at which the unit is not on."""
        return float(self.total[unit]) / max(1, self.positions)

    def spread(self, unit: int) -> float:
        """Standard deviation of the weight over all positions."""
        variance = float(self.squares[unit]) / max(1, self.positions) - self.mean(unit) ** 2
        return max(0.0, variance) ** 0.5

    def quantile(self, unit: int, q: float) -> float:
        """The middle of `quantile_bounds`, by ratio; NaN where the unit is never on."""
        low, high = self.quantile_bounds(unit, q)
        return (low * high) ** 0.5

    def quantile_bounds(self, unit: int, q: float) -> Interval:
        """Equation (2), of the weights that are on; the greatest weight is a bound as well."""
        if not 0 <= q <= 1:
            raise BadInput(f"A quantile is between 0 and 1; it got q={q}. The median is 0.5.")
        upto = np.cumsum(self.histogram[unit])
        if not upto[-1]:
            return float("nan"), float("nan")
        b = int(np.searchsorted(upto, max(1, ceil(q * int(upto[-1])))))  # (2)
        top = float(self.largest[unit])
        return min(float(self.edges[b]), top), min(float(self.edges[b + 1]), top)

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, whole or not at all; equal surveys give equal bytes."""
        path = Path(path)
        fresh = path.with_name(path.name + ".writing")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(_arrays(self), fresh, {"survey": json.dumps(_words(self))})
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(path)
        except (OSError, SafetensorError) as problem:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise Missing(
                f"{path} could not be written: {problem}. Make room there, or choose another place."
            ) from problem
        return path

    @classmethod
    def load(cls, path: str | Path) -> "UnitSurvey":
        """Read what `save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise Missing(f"survey {path} is not there. Make it with `legenda survey`.")
        try:
            with safe_open(path, "numpy") as file:
                words = json.loads((file.metadata() or {})["survey"])
                held = {name: file.get_tensor(name) for name in file.keys()}
            return _made(words, held)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as problem:
            raise Refused(
                f"{path} is not a survey that can be read: {problem}. Make it anew with "
                "`legenda survey`."
            ) from None


PLAIN = ("active", "active_images", "total", "squares", "largest", "edges", "histogram")
PAIRS = ("together", "weighted")


def _words(survey: UnitSurvey) -> dict[str, Any]:
    return {
        "format": 1,
        "address": survey.address,
        "grid": survey.grid,
        "positions": survey.positions,
        "units": len(survey),
    }


def _arrays(survey: UnitSurvey) -> dict[str, np.ndarray]:
    """All numbers by name; keys and reasons as text, since a header holds little."""
    held = {name: getattr(survey, name) for name in PLAIN}
    held |= {f"exemplars/{f.name}": getattr(survey.exemplars, f.name) for f in fields(Exemplars)}
    for name in PAIRS:
        pairs = getattr(survey, name)
        held |= {f"{name}/{part}": getattr(pairs, part) for part in ("data", "indices", "indptr")}
    for name, said in (("keys", survey.keys), ("refused", survey.refused)):
        held[name] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    return {name: np.ascontiguousarray(array) for name, array in held.items()}


def _made(words: dict[str, Any], held: dict[str, np.ndarray]) -> UnitSurvey:
    size, grid = int(words["units"]), words["grid"]
    keys, refused = (json.loads(held[name].tobytes()) for name in ("keys", "refused"))
    together, weighted = (
        csr_array(tuple(held[f"{n}/{p}"] for p in ("data", "indices", "indptr")), (size, size))
        for n in PAIRS
    )
    return UnitSurvey(
        address=words["address"],
        grid=None if grid is None else (int(grid[0]), int(grid[1])),
        keys=tuple(keys),
        positions=int(words["positions"]),
        exemplars=Exemplars(*(held[f"exemplars/{f.name}"] for f in fields(Exemplars))),
        refused=tuple((key, why) for key, why in refused),
        **{name: held[name] for name in PLAIN},
        together=together,
        weighted=weighted,
    )
