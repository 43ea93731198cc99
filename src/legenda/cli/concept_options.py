"""What the commands about concepts share: where a folder lies, and what is said of it."""

from collections.abc import Callable, Mapping
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from legenda.cli.output import say, tell
from legenda.cli.settings import wholes
from legenda.errors import BadInput


def number(given: str | None, option: str, most: float = inf) -> float | None:
    """A number from 0 to `most` as it is typed."""
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = nan
    if 0 <= value <= most and value != inf:
        return value
    wanted = "of 0 or more" if most == inf else f"from 0 to {most:g}"
    raise BadInput(f"--{option} needs a number {wanted}; it got {given!r}.")


def positive(**given: str | None) -> dict[str, int]:
    """Whole numbers of 1 or more as they are typed; those that were not given are left out."""
    return at_least(1, given)


def seed_of(given: str | None) -> int:
    """A seed as it is typed; 0 where none is."""
    return at_least(0, {"seed": given}).get("seed", 0)


def at_least(least: int, given: Mapping[str, str | None]) -> dict[str, int]:
    """Whole numbers of `least` or more."""
    typed = wholes(**{name.replace("_", "-"): value for name, value in given.items()})
    for name, value in typed.items():
        if value is not None and value < least:
            raise BadInput(f"--{name} needs {least} or more; it got {value}.")
    return {name.replace("-", "_"): value for name, value in typed.items() if value is not None}


def shown_interval(score: Any) -> str:
    """A score with its interval, beside its control."""
    said = f"{score.value:.3g}{between(score.interval)}"
    if score.control is not None:
        said += f", control {score.control:.3g}"
    return f"{said} (n {score.n})"


def between(interval: tuple[float, float], digits: str = ".3g") -> str:
    """An interval in words; nothing where one thing alone was measured."""
    low, high = interval
    return f" [{low:{digits}}, {high:{digits}}]" if isfinite(high - low) else ""


def losing(json: bool) -> Callable[[str, str], None]:
    """Tells of a picture that could not be read."""

    def lost(key: str, why: str) -> None:
        say(f"legenda: {why}")
        if json:
            tell({"error": why, "picture": key})

    return lost


def checked_folder(place: Path, there: bool = False) -> Any:
    """A concept folder that may be written to; `there` where it has to be there already."""
    from legenda.tasks.concept_folder import ConceptFolder, concept_folder

    if str(place).startswith("zoo:"):
        raise BadInput(f"{place} ships with legenda and is not written to. Name a folder.")
    if place == Path():
        raise BadInput("the folder of the concepts has no name. Name a folder.")
    if place.exists() and not place.is_dir():
        raise BadInput(f"{place} is a file; a folder is needed.")
    return concept_folder(place) if there else ConceptFolder(place)
