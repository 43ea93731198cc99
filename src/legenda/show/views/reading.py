"""Which units are on in a picture, and where: a reading, as the page of a picture shows it.

Where the evidence holds nats per position (of a sentence, by the information bottleneck), units
are ranked by what flows through the places where they are on. With nats a(i) and the share s(i)
of a unit among all that is on at position i, of n positions,

    nats = Σ a(i) s(i)                                                    (1)
    by chance: mean n ā s̄,  variance Σ (a - ā)² Σ (s - s̄)² / (n - 1)      (2)

(2) is what (1) would be if the nats lay anywhere: over all orders of the positions, exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from legenda.atlas.store import Atlas, loaded
from legenda.show.heat import heat, place, ramp
from legenda.show.palette import short
from legenda.show.site import shown
from legenda.show.views.named import Plain, by_number, ranged

LISTED = 24
"""So many units are listed, each with its map."""
KEPT = 8
"""So many units are kept of a position for a pointer that rests on it."""
BEHIND = 8


def reading(atlas: Atlas, row: Any, group: Plain, size: tuple[int, int]) -> Plain:
    """What a set of units says of a picture of `size`, width and height."""
    facts, arrays = loaded(row["facts"]), atlas.arrays(row["evidence"])
    index, weight = arrays["index"].long().numpy(), arrays["weight"].double().numpy()
    nats = arrays["nats"].double().numpy() if "nats" in arrays else None
    grid = facts.get("grid") if math.prod(facts.get("grid") or [-1]) == len(index) else None
    kept, left = strongest(index, weight)
    known = by_number(atlas, row["set_id"], kept["all"].tolist())
    listed = [
        _unit(int(number), known, index, weight, grid, kept["peak"])
        for number in kept["all"][:LISTED]
    ]  # fmt: skip
    return {
        "set": row["set_id"], "title": group["title"], "kind": group["kind"], "grid": grid,
        "place": place(_frame(facts, size), *size), "units": listed,
        "more": len(kept["all"]) - len(listed),
        "left": left, "nats": shown(str(facts.get("nats") or ""), 80),
        "behind": [] if nats is None else behind(nats, index, weight, known),
        "codes": None if grid is None else {
            "rows": grid[0], "columns": grid[1], "frame": list(_frame(facts, size)),
            "size": list(size),
            "peak": kept["peak"], "at": kept["at"],
            "units": {str(n): _brief(n, known) for n in kept["numbers"].tolist()},
            "nats": None if nats is None else [round(float(v), 4) for v in nats],
        },
    }  # fmt: skip


def strongest(index: Int[np.ndarray, "n j"], weight: Float[np.ndarray, "n j"]) -> tuple[Plain, int]:
    """Units by their strongest weight, and the strongest few of each position.

    A unit that fills several slots of a position counts with their sum. The second value is how
    many positions hold more than is kept.
    """
    n = len(index)
    spots = np.nonzero(weight)
    pairs, slot = np.unique(index[spots] * n + spots[0], return_inverse=True)
    held = np.zeros(len(pairs))
    np.add.at(held, slot, weight[spots])
    units, where = pairs // n, pairs % n
    numbers, which = np.unique(units, return_inverse=True)
    top, total = np.zeros(len(numbers)), np.zeros(len(numbers))
    np.maximum.at(top, which, np.abs(held))
    np.add.at(total, which, np.abs(held))
    ranked = numbers[np.lexsort((numbers, -total, -top))]
    at: list[list[list[Any]]] = [[] for _ in range(n)]
    for k in np.lexsort((units, -np.abs(held))):
        if len(at[where[k]]) < KEPT:
            at[where[k]].append([int(units[k]), round(float(held[k]), 4)])
    seen = np.array(sorted({number for one in at for number, _ in one}), np.int64)
    listed = np.union1d(seen, ranked[:LISTED]).astype(np.int64)
    peak = round(float(top.max(initial=0.0)), 6)
    full = int((np.bincount(where, minlength=n) > KEPT).sum())
    return {"at": at, "all": ranked, "peak": peak, "numbers": listed}, full


def layer(
    index: Int[np.ndarray, "n j"], weight: Float[np.ndarray, "n j"], number: int
) -> Float[np.ndarray, " n"]:
    """The weights of one unit, at every position."""
    return np.where(index == number, weight, 0.0).sum(1)


def _unit(
    number: int, known: dict[int, Plain], index: np.ndarray, weight: np.ndarray,
    grid: Sequence[int] | None, peak: float,
) -> Plain:  # fmt: skip
    values = layer(index, weight, number)
    best = int(np.abs(values).argmax())
    said = known.get(number) or {"id": None, "name": f"unit {number}", "certainty": "–"}
    row, column = divmod(best, grid[1]) if grid else (0, 0)
    name = said["name"]
    return {
        **said, "number": number, "strength": short(float(values[best])),
        "where": int((values != 0).sum()),
        "map": heat(values.reshape(grid), peak, clear=True) if grid else None,
        "ramp": ramp(values), "high": short(peak),
        "alt": f"Map of {name}: strongest in row {row + 1}, column {column + 1}." if grid else "",
    }  # fmt: skip


def _brief(number: int, known: dict[int, Plain]) -> list[Any]:
    one = known.get(number)
    return [one["id"], one["name"], one["certainty"]] if one else [None, f"unit {number}", "–"]


def shares(
    index: Int[np.ndarray, "n j"], weight: Float[np.ndarray, "n j"], numbers: Int[np.ndarray, " k"]
) -> Float[np.ndarray, "n k"]:
    """How much of what is on at a position is each of the units, which are in rising order."""
    size = np.abs(weight)
    total = size.sum(1)
    parts, spots = size / np.where(total > 0, total, 1)[:, None], np.nonzero(size)
    made = np.zeros((len(index), len(numbers)))
    np.add.at(made, (spots[0], np.searchsorted(numbers, index[spots])), parts[spots])
    return made


def behind(
    nats: Float[np.ndarray, " n"],
    index: Int[np.ndarray, "n j"],
    weight: Float[np.ndarray, "n j"],
    known: dict[int, Plain],
) -> list[Plain]:
    """Units by the nats that flow where they are on, beside what chance gives them."""
    numbers = np.unique(index[weight != 0])
    share, n = shares(index, weight, numbers), len(nats)
    found = nats @ share  # (1)
    chance = n * nats.mean() * share.mean(0)  # (2)
    spread = ((nats - nats.mean()) ** 2).sum() * ((share - share.mean(0)) ** 2).sum(0)  # (2)
    half = 1.96 * np.sqrt(spread / max(1, n - 1))
    rows = []
    for k in np.argsort(-(found - chance), kind="stable")[:BEHIND]:
        unit, name, _ = _brief(int(numbers[k]), known)
        ends = max(0.0, float(chance[k] - half[k])), float(chance[k] + half[k])
        said = ranged(float(chance[k]), *ends)
        nat = short(float(found[k]))
        rows.append({"id": unit, "name": name, "nats": nat, "chance": said,
                     "apart": bool(found[k] > ends[1])})  # fmt: skip
    return rows


def _frame(facts: Plain, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = facts.get("frame") or (0, 0, *size)
    if not all(map(math.isfinite, (left, top, right, bottom))) or right <= left or bottom <= top:
        return 0.0, 0.0, float(size[0]), float(size[1])
    return float(left), float(top), float(right), float(bottom)
