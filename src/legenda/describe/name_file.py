"""Names on disk: `names.json`, schema 1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from legenda.corpus.images import present
from legenda.describe.naming import Name, NameCheck
from legenda.errors import Refused

SCHEMA = 1


def names_to_json(names: Sequence[Name], about: Mapping[str, Any] | None = None) -> str:
    """Names as text; `about` says of what, such as the dictionary, vocabulary and method."""
    record = {"schema": SCHEMA, "about": dict(about or {})}
    lines = ",\n".join(
        "  " + json.dumps(finite(asdict(name)), ensure_ascii=False) for name in names
    )
    head = json.dumps(record, ensure_ascii=False, default=repr)[:-1]
    return f'{head}, "names": [\n{lines}\n]}}\n'


def read_names(source: str | Path) -> tuple[Name, ...]:
    """The names in a file."""
    path = present(source, "names file")
    try:
        record = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        where = f" at line {problem.lineno}" if isinstance(problem, json.JSONDecodeError) else ""
        raise Refused(f"{path} is not JSON{where}. Name the units again.") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        got = record.get("schema") if isinstance(record, dict) else None
        raise Refused(
            f"{path} needs schema {SCHEMA}; it has {got!r}. Name the units again with this version."
        )
    try:
        return tuple(map(name_of, record["names"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise Refused(
            f"{path} holds a name that cannot be read: {problem}. Name the units again."
        ) from None


def name_of(held: Mapping[str, Any]) -> Name:
    """One name of schema 1."""
    check = held["check"]
    if check is not None:
        low, high = check["interval"]
        numbers = {k: number(check[k]) for k in ("auroc", "random", "shuffled")}
        check = NameCheck(
            interval=(number(low), number(high)), n=check["n"], images=check["images"], **numbers
        )
    candidates = tuple((str(word), float(score)) for word, score in held["candidates"])
    rest = {k: held[k] for k in ("unit", "word", "reason", "by", "null")}
    return Name(
        **rest, score=float(held["score"]), margin=float(held["margin"]), candidates=candidates,
        check=check,
    )  # fmt: skip


def number(value: float | None) -> float:
    """JSON's null is not a number."""
    return float("nan") if value is None else float(value)


def finite(value: Any) -> Any:
    """JSON has no NaN: such numbers become null."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not isfinite(value) else value
