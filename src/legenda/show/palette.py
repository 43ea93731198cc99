"""Colour scales that colour-blind readers can read, and numbers on their axis.

A sequential scale climbs in lightness all the way, so that it also reads in grey; a diverging
one falls off in lightness to both sides of zero, blue below and orange above, which all common
kinds of colour blindness keep apart. Anchors are interpolated in OKLab.

References
----------
van der Walt, Smith. Viridis, the default colormap of matplotlib 2. 2015. The anchors of
`SEQUENTIAL`.
Ottosson. A perceptual color space for image processing. 2020. OKLab.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

SEQUENTIAL = (
    "#440154", "#482878", "#3e4a89", "#31688e", "#26828e",
    "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725",
)  # fmt: skip
DIVERGING = ("#0a2f5c", "#2166ac", "#7fb3dc", "#f4f2ee", "#f3ae62", "#c8690b", "#6b3200")
MUTED = ("#2b2b2e", "#68686c", "#a2a2a6", "#dcdcdf")
"""Grey, for pairs that do not match: nothing there should look like a finding."""

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@cache
def colours(anchors: tuple[str, ...], count: int = 256) -> UInt8[np.ndarray, "count 3"]:
    """`count` colours along the anchors, evenly spaced in OKLab between them."""
    lab = oklab(np.array([rgb(a) for a in anchors]))
    at, known = np.linspace(0, 1, count), np.linspace(0, 1, len(anchors))
    mixed = np.stack([np.interp(at, known, lab[:, i]) for i in range(3)], 1)
    linear = (mixed @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T
    return np.rint(_encoded(linear.clip(0, 1)) * 255).astype(np.uint8)


def oklab(values: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k 3"]:
    """Colours with channels in [0, 1] as lightness and two opponent axes."""
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def _encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clip(1e-9) ** (1 / 2.4) - 0.055
    )


def rgb(code: str) -> tuple[float, float, float]:
    """`#ff8000` as three shares."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def ticks(low: float | int, high: float | int, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, both in, at most `most` or so of them.

    Examples
    --------
    >>> ticks(0, 9.7)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if not high > low:
        return [float(low)]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def short(value: float | int | None) -> str:
    """A number in three digits, as a person would write it; a dash where there is none.

    Examples
    --------
    >>> short(1234.5), short(0.01234), short(-0.5), short(None)
    ('1,234', '0.0123', '−0.5', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1000:
        said = f"{value:,.0f}"
    elif size == 0 or size >= 1e-4:
        said = f"{value:.3g}"
    else:
        said = f"{value:.1e}"
    return said.replace("-", "−")
