"""Models for live work: opened when they are first asked for, one at a time, and then kept.

An atlas may come from anyone, and opening some references runs code or reads a network. So of what
an atlas names only the shipped models (`zoo:`) are opened; others have to be given by hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from legenda.atlas.store import Atlas
from legenda.errors import Refused, Unsupported

Opener = Callable[[str, str], Any]
"""From a reference and a device to a model, ready for a kind of work."""
SHIPPED, HELD, NAMED = "zoo:", 4, 2000
TOOLS = {
    "agreement": ("concept", "neuron"),
    "tokens": ("token",),
    "latents": ("latent", "direction"),
    "concepts": ("concept",),
}
"""What can be done live, and the kinds of unit of the models that it is likely done with."""


def unopened(ref: str, device: str) -> Any:
    """What stands where nothing was said of how to open models."""
    raise Unsupported("live work", "a way to open models", ref, "Start it with `legenda studio`.")


@dataclass(frozen=True)
class Openers:
    """How models are opened for each kind of work.

    Parameters
    ----------
    agreement: to a dual encoder.
    tokens: to a `TokenTools`.
    latents: to a model that decodes latents.
    concepts: to a reader of pictures with named concepts.
    """

    agreement: Opener = unopened
    tokens: Opener = unopened
    latents: Opener = unopened
    concepts: Opener = unopened


class Bench:
    """The models that may be opened, and those that are.

    Parameters
    ----------
    atlas: whose models are offered.
    given: references that a person gave by hand.
    device: where they are opened.
    openers: how.
    """

    def __init__(self, atlas: Atlas, given: Sequence[str], device: str, openers: Openers):
        self.atlas, self.given, self.device, self.openers = atlas, tuple(given), device, openers
        self.open: dict[tuple[str, str], Any] = {}
        self.lock = Lock()

    def offered(self, tool: str) -> list[str]:
        """References that a kind of work may be done with, the likeliest first."""
        marks = ", ".join("?" * len(TOOLS[tool]))
        rows = self.atlas.all(
            "SELECT DISTINCT m.ref FROM models m LEFT JOIN sets s ON s.model = m.id "
            f"WHERE (s.kind IN ({marks}) OR (? AND s.id IS NULL)) AND substr(m.ref, 1, ?) = ? "
            "ORDER BY m.id LIMIT 50",
            *TOOLS[tool], tool == "agreement", len(SHIPPED), SHIPPED,
        )  # fmt: skip
        return list(dict.fromkeys([*(row["ref"] for row in rows), *self.given]))

    def check(self, ref: str) -> None:
        """Refuse what may not be opened."""
        if ref not in self.given and not self.known(ref):
            raise Refused(
                f"the studio opens the shipped models of its atlas, and what it was given; "
                f"{ref[:80]!r} is neither. Start it with --model {ref[:80]} to allow that."
            )

    def model(self, tool: str, ref: str) -> Any:
        """A model, opened if it is not yet."""
        self.check(ref)
        with self.lock:
            key = tool, ref
            if key not in self.open:
                self.open[key] = getattr(self.openers, tool)(ref, self.device)
            self.open[key] = self.open.pop(key)  # the last used is forgotten last
            while len(self.open) > HELD:
                del self.open[next(iter(self.open))]
            return self.open[key]

    def names(self, ref: str, kind: str, size: int) -> dict[int, str]:
        """What the atlas calls the first units of a kind, at most `size`, of a model."""
        rows = self.atlas.all(
            """SELECT u.number, u.name FROM units u JOIN sets s ON s.id = u.set_id JOIN models m
               ON m.id = s.model WHERE m.ref = ? AND s.kind = ? AND u.name <> ''
               AND u.number < ? ORDER BY u.id LIMIT ?""",
            ref, kind, size, NAMED,
        )  # fmt: skip
        return {row["number"]: row["name"][:120] for row in rows}

    def known(self, ref: str) -> bool:
        """Whether it is a shipped model of the atlas."""
        held = self.atlas.one("SELECT 1 FROM models WHERE ref = ?", ref)
        return ref.startswith(SHIPPED) and held is not None
