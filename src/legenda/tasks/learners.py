"""Every way to learn a dictionary, by the name that a person types."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from legenda.errors import BadInput, near

STEPWISE = {
    "matryoshka": ("matryoshka", "MatryoshkaBatchTopK"),
    "batch-topk": ("batch_top_k", "BatchTopK"),
    "topk": ("top_k", "TopK"),
    "relu-l1": ("relu_l1", "ReLUL1"),
    "jumprelu": ("jump_relu", "JumpReLU"),
    "gated": ("gated", "Gated"),
    "mp": ("matching_pursuit", "MatchingPursuit"),
    "archetypal": ("archetypal", "Archetypal"),
    "vsae": ("variational", "Variational"),
    "nested-k": ("nested_k", "NestedK"),
}
"""Those that a training loop learns step by step."""
AT_ONCE = {
    "nmf": ("nmf", "NMF"),
    "semi-nmf": ("semi_nmf", "SemiNMF"),
    "kmeans": ("k_means", "KMeans"),
    "pca": ("pca", "PCA"),
    "random": ("random_atoms", "RandomAtoms"),
}
"""Those that look at a sample of the rows at once."""
KINDS = (*STEPWISE, *AT_ONCE)
FRACTIONS = (0.008, 0.03, 0.06, 0.12, 0.24, 0.542)
"""Sizes of the groups of CFM, as shares of all units."""


def learner_of(
    kind: str, units: int, k: int = 12, groups: Sequence[int] | None = None, price: float = 1e-2,
    after: int = 10_000_000,
) -> Any:  # fmt: skip
    """The learner of that name.

    `price` is the sparsity penalty where a paper has one; `after` so many positions a unit that
    was never on counts as dead, and is revived where the paper says how.
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
    module, name = {**STEPWISE, **AT_ONCE}[kind]
    made = getattr(import_module(f"legenda.dictionaries.{module}"), name)
    if kind == "matryoshka":
        sizes = groups_of(units) if groups is None else groups
        return made(units, k=k, groups=tuple(sizes), revive=revive)
    if kind in ("batch-topk", "topk"):
        return made(units, k=k, revive=revive)
    if kind in ("mp", "archetypal", "vsae"):
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
