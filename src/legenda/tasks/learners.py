"""Every way to learn a dictionary, by the name that a person types."""

from collections.abc import Sequence
from typing import Any

from legenda.catalog import lookup
from legenda.errors import BadInput, near

STEPWISE = (
    "matryoshka", "batch-topk", "topk", "relu-l1", "jumprelu", "gated", "mp", "archetypal", "vsae",
    "nested-k",
)  # fmt: skip
"""Those that a training loop learns step by step."""
AT_ONCE = ("nmf", "semi-nmf", "kmeans", "pca", "random")
"""Those that look at a sample of the rows at once."""
KINDS = (*STEPWISE, *AT_ONCE)
CANDIDATES = 1024
"""Positions that archetypes are mixtures of, at most."""
FRACTIONS = (0.008, 0.03, 0.06, 0.12, 0.24, 0.542)
"""Sizes of the groups of CFM, as shares of all units."""


def learner_of(
    kind: str, units: int, k: int = 12, groups: Sequence[int] | None = None, price: float = 1e-2,
    after: int = 10_000_000, batch: int = 2048,
) -> Any:  # fmt: skip
    """The learner of that name.

    `price` is the sparsity penalty where a paper has one; `after` so many positions a unit that
    was never on counts as dead, and is revived where the paper says how; `batch` positions are
    there to begin from, which archetypes are chosen of.
    """
    if kind not in KINDS:
        raise BadInput(
            f"there is no dictionary of the kind {kind!r}.{near(kind, KINDS)} "
            f"Known: {', '.join(KINDS)}."
        )
    if groups is not None and kind != "matryoshka":
        raise BadInput(f"groups are those of a matryoshka dictionary; {kind} has none. Leave them out.")  # fmt: skip # noqa: E501
    from legenda.dictionaries.auxiliary import Revival

    revive = Revival(after=after)
    made = lookup("dictionary", kind)
    if kind == "matryoshka":
        sizes = groups_of(units) if groups is None else groups
        return made(units, k=k, groups=tuple(sizes), revive=revive)
    if kind in ("batch-topk", "topk"):
        return made(units, k=k, revive=revive)
    if kind == "archetypal":
        return made(units, k=k, candidates=min(CANDIDATES, max(units, batch)))
    if kind in ("mp", "vsae"):
        return made(units, k=k)
    if kind in ("relu-l1", "gated"):
        return made(units, price)
    if kind == "jumprelu":
        return made(units, price, wished=float(k))
    if kind == "nested-k":
        return made(units, ks=(max(1, k // 4), max(2, k // 2), max(3, k)))
    if kind == "random":
        return made(units, k)
    return made(units, signed=False) if kind == "pca" else made(units)


def groups_of(units: int, fractions: Sequence[float] = FRACTIONS) -> tuple[int, ...]:
    """Groups of the published shares, whole numbers that sum to the units.

    Examples
    --------
    >>> groups_of(8192)
    (65, 245, 491, 983, 1966, 4442)
    """
    sizes = [max(1, int(share * units)) for share in fractions[:-1]]
    while len(sizes) > 1 and sum(sizes) >= units:
        sizes.pop(0)
    return (*sizes, units - sum(sizes)) if sum(sizes) < units else (units,)
