"""Contact sheets: the frames of a unit side by side, large enough to be looked at.

Rows are anchors, columns are steps, and above each column stands what the unit was set to. A
control has other frames in the same places: shown `blind`, nothing else on it tells. Marks are
double lines, dark and light, so that they need no hue; the map of change is blue on light, and
climbs in darkness, so that it also reads in grey.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from legenda.core.interval import bootstrap
from legenda.core.sheet import Sheet
from legenda.errors import BadInput
from legenda.show.overlay import Scale, with_legend
from legenda.show.palette import DIVERGING, colours, short
from legenda.show.sheet_layout import GAP, LETTER, Layout, enlarged, framed, painted, written

CONTROLS = ("shuffled", "constant")
BLUES, LEGEND = DIVERGING[3::-1], 320
"""The scale of a map of change, and how wide its legend needs it to be."""


def contact_sheet(
    sheet: Sheet,
    columns: int = 8,
    *,
    scale: float | int | None = None,
    labels: bool = True,
    captions: Sequence[str] | None = None,
    blind: bool = False,
    ground: Literal["light", "dark"] = "light",
    marks: Sequence[tuple[int, int]] = (),
) -> Image.Image:
    """All rows, at as many columns, evenly chosen among the steps, both ends always.

    Parameters
    ----------
    sheet: what to show.
    columns: 8, or 5 as published; more show finer steps.
    scale: by how much frames are enlarged; None makes them at least 96 pixels.
    labels: whether rows, columns and the unit are named.
    captions: names of the rows.
    blind: columns by number, no unit and no kind, so that a control looks like a sheet.
    ground: the paper.
    marks: rows and columns (of those shown) of frames to be framed.
    """
    said, steps = captioned(sheet, captions), chosen(sheet.images.shape[1], columns)
    frames, colour = enlarged(sheet.images[:, steps], scale), painted(ground)
    font = ImageFont.load_default(LETTER)
    left = GAP + round(max(map(font.getlength, said))) if labels else 0
    top = round(LETTER * (1.5 if blind else 3)) if labels else 0
    layout = Layout(len(sheet), len(steps), frames.shape[2], frames.shape[3], left, top)
    made = Image.new("RGB", layout.size, colour.paper)
    pen = ImageDraw.Draw(made)
    for row in range(layout.rows):
        for column in range(layout.columns):
            made.paste(Image.fromarray(frames[row, column]), layout.place(row, column))
    if labels:
        written(pen, layout, (said, headings(sheet, steps, blind)), font, colour)
        if not blind:
            pen.text((GAP, GAP // 2), title(sheet), fill=colour.ink, font=font)
    for mark in marks:
        framed(pen, layout, mark, colour)
    return made


def chosen(steps: int, columns: int) -> list[int]:
    """The steps that are shown: all, if there are no more than columns.

    Examples
    --------
    >>> chosen(8, 5)
    [0, 2, 4, 5, 7]
    """
    if columns < 2:
        raise BadInput(f"contact_sheet shows both ends of a row; it got columns={columns}. Take 5.")
    return np.rint(np.linspace(0, steps - 1, min(steps, columns))).astype(int).tolist()


def narrowed(sheet: Sheet, columns: int = 5) -> Sheet:
    """The sheet of those steps alone: narrow it first, then shuffle, so that no order is kept."""
    steps = chosen(sheet.images.shape[1], columns)
    return replace(sheet, images=sheet.images[:, steps], values=sheet.values[steps])


def captioned(sheet: Sheet, captions: Sequence[str] | None) -> list[str]:
    """A name for each row."""
    if captions is None:
        return [f"row {row + 1}" for row in range(len(sheet))]
    if len(captions) != len(sheet):
        raise BadInput(
            f"contact_sheet needs a caption for each of {len(sheet)} rows; it got "
            f"{len(captions)}. Give one for each, or none."
        )
    return list(captions)


def headings(sheet: Sheet, steps: Sequence[int], blind: bool) -> list[str]:
    """What stands above the columns: values, or numbers where values would say nothing."""
    if blind or sheet.kind in CONTROLS:
        return [str(number + 1) for number in range(len(steps))]
    said = [short(round(float(sheet.values[step]), 2)) for step in steps]
    return [word.replace("−", "-") for word in said]  # the font has no minus


def title(sheet: Sheet) -> str:
    """The unit, and how it is moved."""
    kind = f"control: {sheet.kind}" if sheet.kind in CONTROLS else sheet.kind
    return f"{sheet.unit}: {kind}" if sheet.unit else kind


def alt(sheet: Sheet, columns: int = 8, blind: bool = False) -> str:
    """What a contact sheet shows, for those who do not see it."""
    shown, (height, width) = len(chosen(sheet.images.shape[1], columns)), sheet.images.shape[3:]
    what = f"{len(sheet)} rows of {shown} frames, {width} × {height} pixels each"
    if blind:
        return f"Contact sheet: {what}."
    effect = sheet.effect().detach().double()
    low, high = bootstrap(effect)
    sure = f", 95 % from {short(low)} to {short(high)}" if len(effect) > 1 else ""
    ends = "" if sheet.kind in CONTROLS else (
        f" From left to right the unit goes from {short(float(sheet.values[0]))} to "
        f"{short(float(sheet.values[-1]))}."
    )  # fmt: skip
    return (
        f"Contact sheet of {title(sheet)}. {what[0].upper()}{what[1:]}.{ends} Colours spread by "
        f"{short(float(effect.mean()))} along a row, of at most 0.5 (n = {len(effect)}{sure})."
    )


class _Blue(Scale):
    """A scale of a single hue."""

    @property
    def anchors(self) -> tuple[str, ...]:
        return BLUES


def change_map(
    sheet: Sheet, scale: float | int | None = None, high: float | int | None = None
) -> Image.Image:
    """Where pictures change along the rows, with its scale below; `high` shares one scale."""
    found = sheet.change().detach().double().cpu()
    peak = max(float(found.max()), 1e-6) if high is None else high
    if not 0 < peak < torch.inf:
        raise BadInput(f"change_map needs a scale that ends above 0; it got high={high}.")
    blue = _Blue(0.0, peak, "spread, at most 0.5")
    if scale is None:
        scale = max(1, -(-LEGEND // found.shape[1]))  # so that the legend can be read
    lit = torch.from_numpy(colours(BLUES)[blue.levels(found.numpy())].astype(np.float32) / 255)
    frame = enlarged(lit.movedim(2, 0)[None, None], scale)[0, 0]
    return with_legend(Image.fromarray(frame), blue, False)
