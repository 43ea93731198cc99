"""Exemplars as small pictures: what a unit is strongest at, cut out of the pictures of a survey.

Each is the square of a few grid cells around the position, in the picture's own pixels; all of them
are one sheet, `exemplars.webp`, and `exemplars.json` says which tiles are whose.
"""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from legenda.corpus.pictures import Pictures
from legenda.corpus.unit_survey import UnitSurvey
from legenda.corpus.view_box import Preprocess
from legenda.errors import LegendaError, Refused

SHEET, INDEX = "exemplars.webp", "exemplars.json"
SIDE, CELLS, COLUMNS, COUNT = 40, 5, 64, 4
MOST = 16_000
"""The longest side that a sheet in this format may have, and so how many tiles there are."""
Tile = UInt8[np.ndarray, "side side 3"]


@dataclass(frozen=True, eq=False)
class Exemplars:
    """A sheet of tiles, and the numbers of each unit's."""

    sheet: Image.Image
    tiles: dict[int, tuple[int, ...]]

    def of(self, unit: int) -> list[Image.Image]:
        """The exemplars of a unit, the strongest first; none where none were kept."""
        return [self.sheet.crop(box(number)) for number in self.tiles.get(unit, ())]


def box(number: int) -> tuple[int, int, int, int]:
    """Where a tile lies on the sheet."""
    row, column = divmod(number, COLUMNS)
    return column * SIDE, row * SIDE, (column + 1) * SIDE, (row + 1) * SIDE


def cut(picture: Image.Image, position: int, grid: tuple[int, int], how: Preprocess) -> Tile:
    """The cells around a position, as they are in the picture."""
    row, column = divmod(position, grid[1])
    frame = how.frame(picture.size)
    high, wide = (frame.bottom - frame.top) / grid[0], (frame.right - frame.left) / grid[1]
    x, y = frame.left + (column + 0.5) * wide, frame.top + (row + 0.5) * high
    half = CELLS / 2 * max(high, wide)
    part = picture.convert("RGB").transform(
        (SIDE, SIDE), Image.Transform.EXTENT, (x - half, y - half, x + half, y + half),
        Image.Resampling.BILINEAR, fillcolor="white",
    )  # fmt: skip
    return np.asarray(part)


def collect(
    survey: UnitSurvey,
    pictures: Pictures,
    how: Preprocess,
    units: Sequence[int],
    count: int = COUNT,
    report: Callable[[int, int], None] = lambda done, total: None,
    allowed: Callable[[str], bool] = lambda key: True,
) -> Exemplars | None:
    """Tiles of some units; None where positions lie on no grid. Every picture is opened once.

    Of a picture whose key is not `allowed` none is cut; the next exemplar takes its place.
    """
    if survey.grid is None:
        return None
    place = {key: i for i, key in enumerate(pictures.key(i) for i in range(len(pictures)))}
    most = (MOST // SIDE) * COLUMNS
    wanted: dict[int, list[tuple[int, int, int]]] = {}
    for unit in list(units)[: most // count]:
        images = survey.exemplars.image[unit]
        ranks = [r for r, i in enumerate(images.tolist()) if i >= 0 and allowed(survey.keys[i])]
        for rank in ranks[:count]:
            position = int(survey.exemplars.position[unit, rank])
            wanted.setdefault(int(images[rank]), []).append((unit, rank, position))
    found: dict[tuple[int, int], Tile] = {}
    for done, (image, asked) in enumerate(sorted(wanted.items())):
        with suppress(LegendaError, KeyError):
            picture = pictures.open(place[survey.keys[image]])
            for unit, rank, position in asked:
                found[unit, rank] = cut(picture, position, survey.grid, how)
        report(done + 1, len(wanted))
    return sheet_of(found)


def sheet_of(found: dict[tuple[int, int], Tile]) -> Exemplars:
    """All tiles on one sheet, by unit, then by strength."""
    order = sorted(found)
    rows = max(1, -(-len(order) // COLUMNS))
    sheet = np.full((rows * SIDE, COLUMNS * SIDE, 3), 255, np.uint8)
    tiles: dict[int, list[int]] = {}
    for number, (unit, rank) in enumerate(order):
        left, top, right, bottom = box(number)
        sheet[top:bottom, left:right] = found[unit, rank]
        tiles.setdefault(unit, []).append(number)
    return Exemplars(Image.fromarray(sheet), {u: tuple(n) for u, n in tiles.items()})


def save(found: Exemplars, folder: Path, quality: int = 70) -> Path:
    """The sheet and its index, each whole or not at all."""
    held = io.BytesIO()
    found.sheet.save(held, "WEBP", quality=quality, method=6)
    text = json.dumps({"schema": 1, "side": SIDE, "columns": COLUMNS, "tiles": found.tiles})
    for name, data in ((SHEET, held.getvalue()), (INDEX, text.encode())):
        passing = folder / f".{name}.writing"
        passing.write_bytes(data)
        passing.replace(folder / name)
    return folder / SHEET


def load(folder: Path) -> Exemplars | None:
    """What `save` wrote; None where there is nothing."""
    if not (folder / SHEET).is_file() or not (folder / INDEX).is_file():
        return None
    try:
        about = json.loads((folder / INDEX).read_text("utf-8"))
        tiles = {int(u): tuple(map(int, n)) for u, n in about["tiles"].items()}
        with Image.open(folder / SHEET) as file:
            return Exemplars(file.convert("RGB"), tiles)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Refused(
            f"{folder / SHEET} and {INDEX} do not belong together, or are damaged. Survey again."
        ) from None
