"""A picture of disentanglement and certainty: one point for each model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from benchmarks.table import HERE

MARKS = {"grey": "circle", "colour": "square", "scenes": "triangle", "dsprites": "cross"}
SIZE, EDGE = 220, 36


def plotted(points: Mapping[str, Tensor], certainty: Tensor, worlds: Sequence[str]) -> Path:
    """Write the picture beside the numbers, as SVG; each world has a mark of its own."""
    parts = [
        panel(name, values.tolist(), certainty.tolist(), worlds, i * (SIZE + EDGE))
        for i, (name, values) in enumerate(points.items())
    ]
    wide = len(parts) * (SIZE + EDGE) + EDGE
    said = ", ".join(f"{mark} {world}" for world, mark in MARKS.items())
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {SIZE + 3 * EDGE}" role="img" '
        'font-family="system-ui, sans-serif" font-size="11">'
        "<title>Mean certainty of the active units of a model, over how disentangled it is</title>"
        f'<rect width="100%" height="100%" fill="#fcfcfa"/>{"".join(parts)}'
        f'<text x="{EDGE}" y="{SIZE + 2.7 * EDGE:.0f}">One mark for each model: {said}.</text></svg>\n'
    )
    path = HERE / "truth" / "certainty-link.svg"
    path.write_text(text, "utf-8")
    return path


def panel(
    name: str, x: Sequence[float], y: Sequence[float], worlds: Sequence[str], left: float
) -> str:
    """One measure."""
    most = max([*x, 1e-9])
    marks = "".join(
        mark(MARKS[w], left + EDGE + SIZE * max(0.0, a) / most, EDGE + SIZE * (1 - b))
        for a, b, w in zip(x, y, worlds, strict=True)
    )
    frame = f'<rect x="{left + EDGE}" y="{EDGE}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#888"/>'  # fmt: skip # noqa: E501
    ends = (
        f'<text x="{left + EDGE}" y="{SIZE + 1.5 * EDGE}">0</text>'
        f'<text x="{left + EDGE + SIZE}" y="{SIZE + 1.5 * EDGE}" text-anchor="end">{most:.2f}</text>'
        f'<text x="{left + EDGE + SIZE / 2}" y="{SIZE + 1.5 * EDGE}" text-anchor="middle">{name}</text>'
        f'<text x="{left + EDGE}" y="{EDGE - 6}">mean certainty, 0 to 1</text>'
    )
    return frame + marks + ends


def mark(kind: str, x: float, y: float) -> str:
    """A point that is told apart without colour."""
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="#0b6f68" stroke-width="1.5"/>'  # fmt: skip # noqa: E501
    if kind == "square":
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="#c8690b" fill-opacity="0.7"/>'  # fmt: skip # noqa: E501
    if kind == "triangle":
        return f'<path d="M{x - 4:.1f} {y + 3.5:.1f}h8l-4 -8z" fill="none" stroke="#5a3d8a" stroke-width="1.5"/>'  # fmt: skip # noqa: E501
    return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8" stroke="#1d1f21" stroke-width="1.5"/>'
