"""Where a field stands in a TOML file, and what pydantic holds against it, in a sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from legenda.errors import near

TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
FIELD = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w-]+)((?:\s*\.\s*[\w-]+)*)\s*=""")
QUOTES = ('"""', "'''")
WORDS = {
    "string_type": "words in quotes", "int_type": "a whole number", "bool_type": "true or false",
    "list_type": "a list", "dict_type": "a table", "model_type": "a table",
    "model_attributes_type": "a table", "float_type": "a number",
}  # fmt: skip
"""What a field needs, by what pydantic calls the lack of it."""


@dataclass(frozen=True)
class Lines:
    """The line of each table and field, counted from 1."""

    found: Mapping[tuple[str, ...], int]

    @classmethod
    def of(cls, text: str) -> "Lines":
        """Read them off; what stands within a text of several lines is no field."""
        found: dict[tuple[str, ...], int] = {}
        table, count, inside = tuple[str, ...](), dict[tuple[str, ...], int](), ""
        for number, line in enumerate(text.splitlines(), 1):
            if inside:
                inside = "" if line.count(inside) % 2 else inside
                continue
            head, entry = TABLE.match(line), FIELD.match(line)
            if entry:
                found.setdefault((*table, *_path(entry[1] + entry[2])), number)
            elif head:
                table = _path(head[1])
                found.setdefault(table, number)
                if line.lstrip().startswith("[["):  # one of several, which are counted from 0
                    count[table] = count.get(table, -1) + 1
                    table = (*table, str(count[table]))
                    found[table] = number
            inside = next((q for q in QUOTES if line.count(q) % 2), "")
        return cls(found)

    def line(self, where: Sequence[str]) -> int | None:
        """The line of a field, or of what it lies in; None where nothing of it is there."""
        plain = [part for part in where if not part.isdecimal()]
        parts = [where[:end] for end in range(len(where) - 1, 0, -1)]
        for place in (where, plain, *parts):
            if tuple(place) in self.found:
                return self.found[tuple(place)]
        return None

    def said(self, where: Sequence[str]) -> str:
        """`, line 4`, where it is known."""
        line = self.line(where)
        return "" if line is None else f", line {line}"


def told(problem: ValidationError, whole: type[BaseModel], lines: Lines) -> str:
    """The first thing that is wrong, where, and how many more there are."""
    errors = problem.errors(include_url=False)
    first, more = errors[0], ""
    where = _real(whole, [str(part) for part in first["loc"]])
    if len(errors) > 1:
        more = f" {len(errors) - 1} more of its fields cannot be used."
    plain = tuple(part for part in where if not part.isdecimal())
    return f"{lines.said(where)}: {_sentence(dict(first), plain, _known(whole, plain))}{more}"


def _sentence(error: Mapping[str, Any], where: tuple[str, ...], fields: Sequence[str]) -> str:
    *tables, name = where
    table = f"[{'.'.join(tables)}]" if tables else "the file"
    kind, got = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"{table} has no field {name!r}.{near(name, fields)} It has: {', '.join(fields)}."
    if kind == "missing":
        if tables:
            return f"{table} needs {name!r}, and it is not there."
        there = f", only {', '.join(f'[{one}]' for one in got)}" if got else ""
        return f"there is no [{name}]{there}. `legenda run --example` prints a study that has one."
    if kind == "literal_error":
        expected = error["ctx"]["expected"].replace("'", "")
        return f"{name} is {expected}; it got {got!r}.{near(str(got), re.split(r', | or ', expected))}"  # fmt: skip # noqa: E501
    if kind == "value_error":
        return f"{name} {error['ctx']['error']}."
    if kind in WORDS:
        return f"{name} needs {WORDS[kind]}; it got {got!r}."
    if kind == "string_too_short":
        return f"{name} is empty. Name something, or leave it out."
    said = error["msg"].removeprefix("Input should be ").removeprefix("String should ")
    return f"{name} is to be {said}; it got {got!r}."


def _known(whole: type[BaseModel], where: Sequence[str]) -> list[str]:
    """The fields of the table in which the last of `where` stands."""
    table: type[BaseModel] = whole
    for part in where[:-1]:
        inside = table.model_fields.get(part)
        models = _models(inside.annotation) if inside else []
        if not models:
            break
        table = models[0]
    return list(table.model_fields)


def _real(whole: type[BaseModel], where: Sequence[str]) -> tuple[str, ...]:
    """Where a field stands: without what pydantic adds of the kinds that it tried."""
    if len(where) == 1:
        return (where[0],)
    end = 3 if where[1].isdecimal() else 2
    inside = whole.model_fields.get(where[0])
    return tuple(where[:end]) if inside and _models(inside.annotation) else (where[0],)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in _models(part)]


def _path(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))
