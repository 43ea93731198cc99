"""Where the frames of a study come from: rows along which one unit moves, and pictures to measure.

A study asks for nothing else, so that a model that decodes in one pass is studied like one that
samples in many: `Traversals` moves units through codes, `latent_walks.Walks` goes along directions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.tasks.latent_ground import Ground, alive, grounded, sheets
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import Lot, Walked
from legenda.types import Images


@runtime_checkable
class Frames(Protocol):
    """Rows of one model's units; `x` are pictures to begin at, None for what it draws itself."""

    def ground(self, how: LatentSettings, x: Images | None) -> Ground:
        """Pictures of the model, measured."""
        ...

    def alive(self, chosen: Sequence[int], how: LatentSettings, ground: Ground) -> list[int]:
        """The units that are worth moving."""
        ...

    def sheets(
        self, indices: Sequence[int], how: LatentSettings, ground: Ground, x: Images | None,
        fresh: bool = False,
    ) -> Iterator[Sheet]:  # fmt: skip
        """The sheets of some units; those of `fresh` rows share none with the others."""
        ...

    @property
    def lots(self) -> int:
        """How many units by lot are asked about beside the model's own, as their control."""
        ...

    def by_lot(self, how: LatentSettings, x: Images | None) -> Iterator[tuple[str, Sheet]]:
        """Their kinds and sheets, on the rows of the others."""
        ...

    def began(self, x: Images | None) -> str:
        """Where rows begin, in words."""
        ...

    def plain(self, how: LatentSettings) -> dict[str, str]:
        """Every setting that a study depends on, as words."""
        ...

    def walked(self, lots: tuple[Lot, ...]) -> Walked | None:
        """How directions were found, and what came of those by lot; None for other units."""
        ...


@dataclass(frozen=True)
class Traversals:
    """Units of a model that decodes in one pass."""

    units: Units

    def ground(self, how: LatentSettings, x: Images | None) -> Ground:
        return grounded(self.units, how, x)

    def alive(self, chosen: Sequence[int], how: LatentSettings, ground: Ground) -> list[int]:
        return alive(self.units, chosen, how, ground)

    def sheets(
        self, indices: Sequence[int], how: LatentSettings, ground: Ground, x: Images | None,
        fresh: bool = False,
    ) -> Iterator[Sheet]:  # fmt: skip
        return sheets(self.units, indices, how, ground, x, fresh)

    @property
    def lots(self) -> int:
        return 0

    def by_lot(self, how: LatentSettings, x: Images | None) -> Iterator[tuple[str, Sheet]]:
        return iter(())

    def began(self, x: Images | None) -> str:
        return "pictures" if x is not None else "draws of the prior"

    def plain(self, how: LatentSettings) -> dict[str, str]:
        return how.plain()

    def walked(self, lots: tuple[Lot, ...]) -> Walked | None:
        return None
