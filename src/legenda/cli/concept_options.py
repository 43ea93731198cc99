"""What the commands about concepts share: where a folder lies, and what is said of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from legenda.cli.output import say, tell
from legenda.errors import BadInput


def number(given: str | None, option: str, least: float = float("-inf")) -> float | None:
    """A number as it is typed."""
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        what = f"of {least:g} or more" if least > float("-inf") else ""
        raise BadInput(f"--{option} needs a number {what}; it got {given!r}.".replace("  ;", ";").replace(" ;", ";"))  # fmt: skip # noqa: E501
    return value


def positive(**given: int | None) -> dict[str, int]:
    """Whole numbers that have to be 1 or more; those that were not given are left out."""
    for name, value in given.items():
        if value is not None and value < 1:
            raise BadInput(f"--{name.replace('_', '-')} needs 1 or more; it got {value}.")
    return {name: value for name, value in given.items() if value is not None}


def shown_interval(score: Any) -> str:
    """A score with its interval, beside its control."""
    low, high = score.interval
    said = f"{score.value:.3g} [{low:.3g}, {high:.3g}]"
    if score.control is not None:
        said += f", control {score.control:.3g}"
    return f"{said} (n {score.n})"


def losing(json: bool) -> Callable[[str, str], None]:
    """Tells of a picture that could not be read."""

    def lost(key: str, why: str) -> None:
        say(f"legenda: {why}")
        if json:
            tell({"error": why, "picture": key})

    return lost


def checked_folder(out: Path) -> Any:
    """A concept folder that may be written to."""
    from legenda.tasks.concept_folder import concept_folder

    if str(out).startswith("zoo:"):
        raise BadInput(f"{out} ships with legenda and is not written to. Name a folder.")
    if out.is_file():
        raise BadInput(f"--out {out} is a file; a folder is needed.")
    return concept_folder(out)
