"""Settings of a method as they are typed."""

import ast
import re
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.errors import BadInput

Set = Annotated[list[str] | None, Parameter(name="--set", negative="")]


def settings_of(given: list[str] | None, **named: Any) -> dict[str, Any]:
    """Options with a name of their own, and what `--set NAME=VALUE` adds."""
    found = {name: value for name, value in named.items() if value is not None}
    for one in given or []:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput(f"--set needs NAME=VALUE, such as draws=4; it got {one!r}.")
        if name in found:
            raise BadInput(f"{name} is given twice; give it once.")
        found[name] = _read(value)
    return found


def wholes(**given: str | None) -> dict[str, int | None]:
    """Options that are whole numbers, as typed."""
    for name, value in given.items():
        if value is not None and not re.fullmatch(r"[+-]?\d{1,12}", value.strip()):
            raise BadInput(f"--{name} needs a whole number; it got {value!r}.")
    return {name: None if value is None else int(value) for name, value in given.items()}


def per_tower(given: str | None, option: str) -> float | dict[str, float] | None:
    """`1`, or `image=1,text=0.1` where the towers differ."""
    if given is None:
        return None
    parts = [part.rpartition("=") for part in given.split(",")]
    towers = [tower.strip() for tower, _, _ in parts]
    try:
        values = [float(value) for _, _, value in parts]
    except ValueError:
        values = []
    if values and towers == [""]:
        return values[0]
    if values and len(set(towers)) == len(towers) and set(towers) <= {"image", "text"}:
        return dict(zip(towers, values, strict=True))
    raise BadInput(
        f"{option} needs a number, such as 1, or one per tower, such as image=1,text=0.1; "
        f"it got {given!r}."
    )


def numbers(given: str | None, option: str, kind: type = float) -> list[Any]:
    """`0.3,1,3` as numbers."""
    try:
        return [kind(part) for part in given.split(",")] if given else [None]
    except ValueError:
        raise BadInput(
            f"{option} needs numbers with commas between, such as 1,2,3; it got {given!r}."
        ) from None


def sites(given: str | None) -> list[str | None]:
    """`0,1,2`, or `image=0,text=1;image=1`, as single sites."""
    if not given:
        return [None]
    apart = ";" if ";" in given or "=" in given else ","  # image=1,text=0 is one site
    return [part.strip() for part in given.split(apart) if part.strip()]


def prices(given: str | None) -> list[float | dict[str, float] | None]:
    """`0.3,1`, or `image=1,text=0.1;image=2,text=0.1`, as what `--beta` of a run takes."""
    return [per_tower(part, "--beta") for part in sites(given)]


def _read(value: str) -> Any:
    """A number, True, False, None or a tuple where it reads as one; else the word itself."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return float(value) if value.lower() in {"nan", "inf", "-inf"} else value
