"""How values and words are written into columns."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from legenda.atlas.keys import canonical


def now() -> str:
    """The time, in one fixed form."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def packed(facts: Mapping[str, Any]) -> str:
    """Plain values as JSON in one fixed form; what is not finite is refused in a sentence."""
    return canonical(dict(facts))


def clean(text: str) -> str:
    """Words of others as they are, without what no text holds: NUL, and halves of characters."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
