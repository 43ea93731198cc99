"""Learners and rules by name, as a file may name them: a table, and nothing beyond it.

What a file says is data. A name is looked up here and nowhere else; each setting is checked against
the type of its field before a class sees it, and what the class then refuses is refused.
"""

import json
from dataclasses import asdict
from importlib import import_module
from typing import Any

from legenda.errors import BadInput, Refused, near

KINDS = {
    "ReLUL1": "relu_l1", "TopK": "top_k", "BatchTopK": "batch_top_k", "JumpReLU": "jump_relu",
    "MatryoshkaBatchTopK": "matryoshka", "Gated": "gated", "NestedK": "nested_k",
    "MatchingPursuit": "matching_pursuit", "Archetypal": "archetypal", "Variational": "variational",
    "PCA": "pca", "KMeans": "k_means", "NMF": "nmf", "SemiNMF": "semi_nmf",
    "RandomAtoms": "random_atoms", "Axes": "random_atoms",
    "Projection": "linear", "Nearest": "linear", "NonNegative": "linear",
}  # fmt: skip
"""Everything that a description may name, and the module it is in: nothing else is looked up."""


def said(settings: Any) -> dict[str, Any] | None:
    """A learner or a rule as names and numbers."""
    if settings is None:
        return None
    kind = type(settings).__name__
    if kind not in KINDS or found(kind) is not type(settings):
        raise BadInput(
            f"a dictionary is kept with one of {', '.join(KINDS)}; its learner is a {kind}. Keep "
            "its numbers yourself."
        )
    return {"kind": kind, "fields": json.loads(json.dumps(asdict(settings)))}


def read(about: dict[str, Any] | None) -> Any:
    """The settings that `said` wrote, each checked against what its field may be."""
    from pydantic import TypeAdapter

    if about is None:
        return None
    kind, given = about["kind"], about["fields"]
    if kind not in KINDS:
        raise Refused(
            f"there is no learner or rule of the kind {kind!r}.{near(str(kind), KINDS)} Known: "
            f"{', '.join(KINDS)}."
        )
    settings: Any = TypeAdapter(found(kind)).validate_json(json.dumps(given), strict=True)
    unknown = strangers(given, asdict(settings))
    if unknown:
        raise Refused(
            f"{kind} has no setting {', '.join(unknown)}. Update legenda, or save it again."
        )
    return settings


def found(kind: str) -> type[Any]:
    """The class of a name in the table."""
    return getattr(import_module(f"legenda.dictionaries.{KINDS[kind]}"), kind)


def strangers(given: Any, made: Any) -> list[str]:
    """Names in a record that its class does not have, at any depth."""
    if not isinstance(given, dict) or not isinstance(made, dict):
        return []
    deeper = [x for n in given if n in made for x in strangers(given[n], made[n])]
    return [n for n in given if n not in made] + deeper
