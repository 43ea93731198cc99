"""A method by its name and its settings, each of them checked against what it declares."""

import sys
from dataclasses import fields, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from legenda.catalog import lookup
from legenda.corpus.survey import Moments
from legenda.errors import BadInput

LARGEST: dict[Any, float] = {int: 2**40, float: sys.float_info.max}
"""Numbers beyond these are no settings; no number is beyond them that is not one."""


def for_tower(
    beta: dict[str, float], tower: str, method: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """The settings of one tower: a setting may be given per tower; `beta` holds its defaults."""
    for name, value in settings.items():
        if isinstance(value, dict) and not set(value) <= {"image", "text"}:
            raise BadInput(
                f"{method} takes {name} for image and text; it got one for "
                f"{sorted(set(value) - {'image', 'text'}, key=str)[0]!r}. Name the tower."
            )
    found = {
        name: value[tower] if isinstance(value, dict) and tower in value else value
        for name, value in settings.items()
        if not isinstance(value, dict) or tower in value
    }
    if method == "m2ib" and "beta" not in found and tower in beta:
        found["beta"] = beta[tower]
    return found


def explainer(name: str, moments: Moments | None, /, **settings: Any) -> Any:
    """A method by name, with the settings it knows; unknown or unfit settings are refused."""
    make = lookup("explain", name)
    known = {f.name: f for f in fields(make)}
    hints = get_type_hints(make if isinstance(make, type) else type(make))
    for one, value in settings.items():
        if one not in known:
            raise BadInput(f"{name} has no setting {one!r}. It has: {', '.join(sorted(known))}.")
        fit(name, one, value, hints[one])
    if not isinstance(make, type):  # a preset
        return replace(make, **settings)
    return make(**({"moments": moments} if "moments" in known else {}) | settings)


def fit(method: str, name: str, value: Any, hint: Any) -> None:
    """Refuse a value that is not of the kind that a setting is declared to take."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal:
            found = value in get_args(kind)
        elif kind in (int, float):
            number = (int, float) if kind is float else int
            found = isinstance(value, number) and not isinstance(value, bool)
            found = found and abs(value) <= LARGEST[kind]
        else:
            found = isinstance(value, get_origin(kind) or kind)
        if found:
            return
    words = {int: "a whole number", float: "a finite number", bool: "True or False"}
    choices = [
        " or ".join(map(repr, get_args(k))) if get_origin(k) is Literal
        else words.get(k, "None" if k is type(None) else getattr(k, "__name__", str(k)))
        for k in kinds
    ]  # fmt: skip
    raise BadInput(f"{method} needs {' or '.join(choices)} for {name}; it got {value!r}.")
