"""What a model sees of a picture, and where its map lies on the original.

A preprocessing resizes, perhaps crops or pads, and normalises. The same few numbers say how an
image becomes model input (`apply`), which part of the original the model saw (`seen`), and how
a map over the grid returns to the original's own pixels (`draw_back`).

Coordinates are continuous: pixel i covers [i, i + 1), and a map's value belongs to the centre of
its cell, so that drawing back is `align_corners=False`. Rounding follows transformers' Pillow
processors: the long edge is cut down to a whole pixel, and a centre crop leans to the top left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from legenda.corpus.images import LIMIT, as_rgb
from legenda.errors import BadInput, Unsupported

Resize = Literal["shortest", "squash", "pad", "none"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


class Box(NamedTuple):
    """A rectangle in pixels, edges as continuous coordinates."""

    left: float
    top: float
    right: float
    bottom: float


class _Placing(NamedTuple):
    """Resize to width x height, then cut out the model's input from (left, top)."""

    width: int
    height: int
    left: int
    top: int


@dataclass(frozen=True)
class Preprocess:
    """From a picture of any size to model input, PIL `h w` -> `c h w`.

    Parameters
    ----------
    size: height and width of the model input.
    resize: `shortest` keeps the shape and fits the shortest edge, `squash` fits both edges,
        `pad` keeps the shape, fits the longest edge and fills with the mean colour, `none`
        leaves the size alone.
    crop: cut `size` out of the middle after resizing; what is missing there is black.
    mean, std: per channel, for pixels in [0, 1].
    interpolation: Pillow's filter.
    edge: what an edge is resized to before the crop; larger crops more away. None: `size`.
    """

    size: tuple[int, int]
    resize: Resize = "shortest"
    crop: bool = True
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    interpolation: Interpolation = "bicubic"
    edge: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that would not end in `size`."""
        if min(self.size) < 1 or (self.edge is not None and self.edge < 1):
            raise BadInput(f"Preprocess needs sizes of 1 or more; got {self.size}, {self.edge}")
        if not all(s > 0 for s in self.std):
            raise BadInput(f"Preprocess needs a std above 0 per channel; got {self.std}")
        if self.resize in ("shortest", "none") and not self.crop:
            raise BadInput(
                f"Preprocess with resize={self.resize!r} needs crop=True, or images of different "
                "shapes give inputs of different sizes."
            )
        if not self.crop and self.edge is not None:
            raise BadInput(f"Preprocess uses edge={self.edge} only with crop=True")
        if self.resize == "pad" and self.crop:
            raise BadInput("Preprocess with resize='pad' needs crop=False: there is nothing to cut")

    def apply(self, image: Image.Image) -> Float[Tensor, "c h w"]:
        """Make one image the model's input, normalised."""
        place = self._placing(image.size)
        h, w = self.size
        pixels = as_rgb(image).resize(
            (place.width, place.height), Image.Resampling[self.interpolation.upper()]
        )
        cut = pixels.crop((place.left, place.top, place.left + w, place.top + h))
        values = np.asarray(cut, np.float32) / np.float32(255)
        values = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        if self.resize == "pad":
            values = _framed(values, place)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))

    def frame(self, size: tuple[int, int]) -> Box:
        """Lay the model's input on an original of `size` (w, h); padding sticks out of it."""
        place = self._placing(size)
        x, y = size[0] / place.width, size[1] / place.height
        h, w = self.size
        return Box(place.left * x, place.top * y, (place.left + w) * x, (place.top + h) * y)

    def seen(self, size: tuple[int, int]) -> Box:
        """Find the part of an original of `size` (w, h) that reaches the model."""
        left, top, right, bottom = self.frame(size)
        return Box(max(left, 0.0), max(top, 0.0), min(right, size[0]), min(bottom, size[1]))

    def draw_back(
        self, map: Float[Tensor, "gh gw"], size: tuple[int, int]
    ) -> Float[Tensor, "oh ow"]:
        """Draw a map over the grid on an original of `size` (w, h), NaN where nothing was seen."""
        return spread(map, self.frame(size), size)

    def _placing(self, size: tuple[int, int]) -> _Placing:
        w, h = size
        if min(w, h) < 1:
            raise BadInput(f"Preprocess needs an image with pixels; got {w} x {h}")
        width, height = self._resized(w, h)
        if width * height > LIMIT:
            raise BadInput(
                f"an image of {w} x {h} would become {width} x {height} before the crop; "
                "it is too thin. Crop it first."
            )
        return _Placing(width, height, (width - self.size[1]) // 2, (height - self.size[0]) // 2)

    def _resized(self, w: int, h: int) -> tuple[int, int]:
        if self.resize == "none":
            return w, h
        if self.resize == "squash":
            return (self.edge or self.size[1], self.edge or self.size[0])
        if self.resize == "pad":
            scale = min(self.size[1] / w, self.size[0] / h)
            return max(1, round(w * scale)), max(1, round(h * scale))
        edge = self.edge or min(self.size)
        return (edge, int(edge * h / w)) if w <= h else (int(edge * w / h), edge)

    @classmethod
    def from_processor(cls, processor: Any) -> "Preprocess":
        """Read a transformers image processor, and check that both give the same input."""
        name = type(processor).__name__
        found = _fields(processor)
        if found is None:
            raise _unreadable(name)
        made = cls(**found)
        if callable(processor) and not _agree(made, processor):
            raise _unreadable(name)
        return made


def spread(
    map: Float[Tensor, "gh gw"], frame: Sequence[float], size: tuple[int, int]
) -> Float[Tensor, "oh ow"]:
    """A map over its frame on a picture of `size` (w, h), bilinear; NaN outside of the frame."""
    left, top, right, bottom = frame
    rows = _lines(map, size[1], top, bottom)
    return _lines(rows.T, size[0], left, right).T


def _lines(
    map: Float[Tensor, "rows columns"], length: int, start: float, stop: float
) -> Float[Tensor, "length columns"]:
    """Interpolate along the first axis: row r covers an equal share of [start, stop)."""
    count = map.shape[0]
    centre = torch.arange(length, device=map.device, dtype=torch.float64) + 0.5
    at = ((centre - start) / (stop - start) * count - 0.5).clamp(0, count - 1)
    below = at.floor().long()
    above = (below + 1).clamp(max=count - 1)
    share = (at - below).to(map.dtype)[:, None]
    lines = map[below] * (1 - share) + map[above] * share
    unseen = (centre < start) | (centre > stop)
    return lines.masked_fill(unseen[:, None], torch.nan)


def _framed(values: np.ndarray, place: _Placing) -> np.ndarray:
    """Pad with the mean colour, which is zero once normalised."""
    h, w = values.shape[:2]
    top, left = max(-place.top, 0), max(-place.left, 0)
    inside = np.zeros((h, w, 1), np.float32)
    inside[top : top + place.height, left : left + place.width] = 1
    return values * inside


def _fields(processor: Any) -> dict[str, Any] | None:
    """Read the settings of a processor; None where it does not end in one fixed size."""

    def on(name: str) -> bool:
        return bool(getattr(processor, name, None))

    size = dict(getattr(processor, "size", None) or {})
    crop = dict(getattr(processor, "crop_size", None) or {}) if on("do_center_crop") else {}
    end = crop or size
    if not {"height", "width"} <= end.keys() or (not crop and not on("do_resize")):
        return None
    resize, edge = "none", None
    if on("do_resize"):
        resize = "squash" if "height" in size else "shortest"
        edge = (size.get("height") or size.get("shortest_edge")) if crop else None
        if edge is None and crop or (crop and size.get("width", edge) != edge):
            return None
    factor = round(processor.rescale_factor * 255, 9) if on("do_rescale") else 255.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if on("do_normalize"):
        mean, std = _three(processor.image_mean), _three(processor.image_std)
    return {
        "size": (end["height"], end["width"]),
        "resize": resize,
        "crop": bool(crop),
        "mean": tuple(m / factor for m in mean),
        "std": tuple(s / factor for s in std),
        "interpolation": interpolation(getattr(processor, "resample", 2)),
        "edge": edge,
    }


def _three(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values)) if hasattr(values, "__len__") else (float(values),) * 3


def interpolation(resample: Any) -> Any:
    """Pillow numbers its filters, torchvision names them; nothing said means bilinear."""
    value = getattr(resample, "value", resample)
    if isinstance(value, str):
        return value
    return Image.Resampling(2 if value is None else value).name.lower()


def _agree(made: Preprocess, processor: Any) -> bool:
    """Compare on a smooth picture: what the fields do not say (offsets, colour order) shows up."""
    ramp = np.mgrid[0:45, 0:61].astype(np.float32)
    picture = np.stack([ramp[0] * 5, ramp[1] * 4, 255 - ramp.sum(0) * 2], -1).astype(np.uint8)
    image = Image.fromarray(picture)
    theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"], np.float32)
    ours = made.apply(image).numpy()[None]
    return theirs.shape == ours.shape and float(np.abs(theirs - ours).max()) < 0.1


def _unreadable(name: str) -> Unsupported:
    return Unsupported(
        "Preprocess.from_processor",
        "one fixed input size, by plain resizing, cropping and normalising",
        name,
        "Describe it yourself: Preprocess(size=(224, 224), ...).",
    )
