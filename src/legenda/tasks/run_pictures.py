"""The pictures of a study: a corpus on disk, or a world of the zoo that is drawn when asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from legenda.corpus.pictures import Pictures, Subset, from_source
from legenda.corpus.stream import evenly
from legenda.errors import Missing, near

DRAWN = 8
"""Pictures of a world, unless more or fewer are asked for."""


@dataclass(frozen=True)
class Sprites:
    """A world of sprites as a corpus; picture i is its i-th draw."""

    name: str
    count: int
    seed: int

    @property
    def digest(self) -> str:
        """A short identity: sprites are functions of their seed."""
        return f"sprites-{self.name}-{self.seed}-{self.count}"

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return f"sprite {i}"

    def label(self, i: int) -> str | None:
        """Nothing: sprites have factors, and no caption."""
        return None

    def open(self, i: int) -> Image.Image:
        """Picture i, drawn."""
        from legenda.zoo.sprites.world import drawn, world_of

        found = drawn(world_of(self.name), i + 1, self.seed).pictures[i]
        return Image.fromarray(found.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def scenes(count: int, seed: int) -> Pictures:
    """Scenes that no model of the zoo was trained on, with captions."""
    from legenda.zoo.scenes.concept_pictures import HELD_OUT, DrawnScenes

    return DrawnScenes(HELD_OUT + seed * 10_000, count)


WORLDS: dict[str, Callable[[int, int], Pictures]] = {
    "zoo:scenes": scenes,
    "zoo:sprites": lambda count, seed: Sprites("grey", count, seed),
    "zoo:sprites/grey": lambda count, seed: Sprites("grey", count, seed),
    "zoo:sprites/colour": lambda count, seed: Sprites("colour", count, seed),
}


def pictures_of(source: str, limit: int | None = None, seed: int = 0) -> Pictures:
    """The pictures of a world, or of a corpus; at most `limit` of them, evenly apart."""
    if source.startswith("zoo:"):
        if source not in WORLDS:
            raise Missing(
                f"there is no world {source!r}.{near(source, WORLDS)} Known: {', '.join(WORLDS)}; "
                "or name a folder, a table or an array of pictures."
            )
        return WORLDS[source](DRAWN if limit is None else limit, seed)
    found = from_source(source)
    if limit is None or len(found) <= limit:
        return found
    return Subset(found, evenly(len(found), limit))
