"""What can be measured in a picture: every attribute of `core.attribute`, in its order.

Pictures are looked at with `SIDE` pixels along their longer side, whatever their size, a few at a
time, and values are rounded, so that they depend neither on resolution nor on what is measured
beside them. An attribute that a picture does not have is NaN: the place of no object, the hue of
grey, the orientation of a disc.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput
from legenda.measure.colour import colour
from legenda.measure.foreground import foreground
from legenda.measure.light import light
from legenda.measure.moments import moments
from legenda.measure.outline import outline
from legenda.measure.series import unwrapped
from legenda.measure.stroke import stroke
from legenda.measure.texture import texture

NAMES = tuple(ATTRIBUTES)
"""What the columns are."""
SIDE, CHUNK, DECIMALS = 64, 16, 9
"""Equal pictures get equal values: what is smaller than the last decimal is rounding."""


def measure(images: Float[Tensor, "b c h w"]) -> Float64[Tensor, "b a"]:
    """Every attribute (`NAMES`) of every picture, colours from 0 to 1 in three channels.

    Examples
    --------
    >>> picture = torch.zeros(1, 3, 64, 64)
    >>> picture[:, :, 8:24, 32:48] = 1
    >>> dict(zip(NAMES, measure(picture)[0].tolist()))["x"]
    0.625
    """
    images = images.detach()
    _check(images)
    if not len(images):
        return torch.zeros(0, len(NAMES), dtype=torch.float64)
    return torch.cat([_measured(part) for part in images.split(CHUNK)])


def measure_rows(images: Float[Tensor, "r s c h w"]) -> Float64[Tensor, "r s a"]:
    """The same of every frame of a sheet; what is circular goes on along a row without jumps."""
    values = measure(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    columns = [unwrapped(values[:, :, i], one.circular) for i, one in enumerate(ATTRIBUTES.values())]  # fmt: skip # noqa: E501
    return torch.stack(columns, 2)


def _measured(images: Float[Tensor, "b c h w"]) -> Float64[Tensor, "b a"]:
    seen_at = sized(images.to("cpu", torch.float64))
    seen = foreground(seen_at)
    found = {
        **moments(seen)._asdict(),
        **outline(seen)._asdict(),
        "stroke": stroke(seen),
        **light(seen_at, seen)._asdict(),
        **colour(seen_at, seen)._asdict(),
        "texture": texture(seen_at),
    }
    return torch.stack([found[name] for name in NAMES], 1).round(decimals=DECIMALS)


def sized(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c y x"]:
    """The longer side `SIDE` pixels long."""
    h, w = images.shape[2:]
    if max(h, w) == SIDE:
        return images
    size = [max(8, round(n * SIDE / max(h, w))) for n in (h, w)]
    resized = torch.nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
    return resized.clamp(0, 1)


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 8:
        raise BadInput(
            "Measuring needs pictures with 3 channels (b 3 h w), at least 8 pixels a side; it got "
            f"{tuple(images.shape)}. Grey pictures are measured with three equal channels."
        )
    low, high = (float(v) for v in images.aminmax()) if len(images) else (0.0, 1.0)
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise BadInput(
            f"Measuring needs colours from 0 to 1; it got values from {low:g} to {high:g}. "
            "Give what `visible` of the model returns."
        )
