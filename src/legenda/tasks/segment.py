"""Open-vocabulary segmentation through concepts, and what each concept adds to it.

Activations are written as codes z and decoded, x̂(u) = Σ_n z_n(u) d_n + b, before they are compared
with the text t_c of each class. The comparison is a sum over concepts, exactly:

    logit_c(u) = cos(x̂(u), t_c) = [Σ_n z_n(u) ⟨d_n, t_c⟩ + ⟨b, t_c⟩] / ‖x̂(u)‖    (1)
    label(u)   = argmax_c logit_c(u)                                      (2)

Of a segment S_c = {u : label(u) = c}, what concept n adds to the mean logit of its own class is

    R_nc = 1/|S_c| Σ_{u ∈ S_c} z_n(u) ⟨d_n, t_c⟩ / ‖x̂(u)‖                  (3)

and Σ_n R_nc, with the same of b, is that mean. Codes are pooled first, (b n c) numbers a picture;
the whole array with positions is never made. `through=False` leaves the concepts out and compares
the activations themselves: the price of the bottleneck is the difference.

Differs from the official code: maps are upsampled bilinearly, not by AnyUp (weights on a hub);
a background is a class or a threshold, not FOUND's head, whose file is not released for it.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. (1) to (3), and the sliding window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from legenda.core.codes import Codes
from legenda.core.dictionary import Dictionary
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from legenda.types import Acts

NOTHING = -1
"""The label of a pixel that no class is sure enough of."""


@dataclass(frozen=True, eq=False)
class Segments:
    """Labels of patches, and what each concept adds to each class where it is the label.

    `logits` (b n c) is equation (1), `labels` (2); `added` (b k c) is (3) and `rest` (b c) the
    same of the bias; both are 0 where a class labels nothing. `size` counts patches per class.
    """

    classes: tuple[str, ...]
    logits: Float[Tensor, "b n c"]
    labels: Int[Tensor, "b n"]
    added: Float[Tensor, "b k c"]
    rest: Float[Tensor, "b c"]
    size: Int[Tensor, "b c"]

    def strongest(self, image: int, name: str, count: int = 5) -> list[tuple[int, float]]:
        """The concepts that add most to a class in one picture, with what they add."""
        if name not in self.classes:
            raise BadInput(f"{name!r} is no class here. There are {', '.join(self.classes)}.")
        column = self.added[image, :, self.classes.index(name)]
        best = column.topk(min(count, len(column)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(unit, value) for unit, value in pairs if value > 0]


@torch.no_grad()
def segment(
    dictionary: Dictionary,
    acts: Acts,
    classes: Sequence[str],
    texts: Float[Tensor, "c d"],
    through: bool = True,
    least: float | None = None,
) -> Segments:
    """Label every patch; `least` is the cosine that a label needs, else it is `NOTHING`."""
    if len(classes) != len(texts) or not len(classes) or texts.shape[1] != acts.shape[-1]:
        raise ShapeError(
            f"segment needs a text embedding of width {acts.shape[-1]} for each of "
            f"{len(classes)} classes; it got the shape {tuple(texts.shape)}."
        )
    texts = normalize(texts, dim=1).to(acts)
    codes = dictionary.encode(acts)
    decoded = dictionary.decode(codes) if through else acts
    logits = normalize(decoded, dim=-1) @ texts.T  # (1)
    best = logits.max(-1)
    labels = best.indices if least is None else best.indices.where(best.values >= least, NOTHING)
    added, rest, size = contributions(dictionary, codes, decoded, labels, texts)
    return Segments(tuple(classes), logits, labels, added, rest, size)


def contributions(
    dictionary: Dictionary, codes: Codes, decoded: Acts, labels: Int[Tensor, "b n"],
    texts: Float[Tensor, "c d"],
) -> tuple[Float[Tensor, "b k c"], Float[Tensor, "b c"], Int[Tensor, "b c"]]:  # fmt: skip
    """Equation (3), of every concept and of the bias; and the size of every segment."""
    atoms = dictionary.atoms.to(decoded)
    none = Codes(codes.index[:1, :1, :1], torch.zeros_like(codes.weight[:1, :1, :1]), codes.size)
    bias = dictionary.decode(none)[0, 0]
    inverse = 1 / decoded.norm(dim=-1).clamp(min=1e-12)
    b, c = len(labels), len(texts)
    added = decoded.new_zeros(b, len(atoms), c)
    rest, size = decoded.new_zeros(b, c), torch.zeros(b, c, dtype=torch.long, device=labels.device)
    for number, text in enumerate(texts):
        here = labels == number
        size[:, number] = here.sum(1)
        share = here * inverse / here.sum(1, keepdim=True).clamp(min=1)
        added[..., number] = codes.pooled(share) * (atoms @ text)
        rest[:, number] = share.sum(1) * (bias @ text)
    return added, rest, size


@dataclass(frozen=True)
class Window:
    """How a large picture is cut: resized so that its short side is `short`, then in squares.

    Parameters
    ----------
    short: short side in pixels after resizing; larger shows the model finer detail.
    crop: side of a square; larger shows it more at once.
    stride: from one square to the next; smaller averages over more of them.
    """

    short: int = 448
    crop: int = 448
    stride: int = 224

    def __post_init__(self) -> None:
        """Refuse windows that leave pixels out."""
        if not 1 <= self.stride <= self.crop or self.short < self.crop:
            raise BadInput(
                f"Window needs 1 ≤ stride ≤ crop ≤ short, so that every pixel is seen; it got "
                f"stride {self.stride}, crop {self.crop}, short {self.short}."
            )

    def corners(self, length: int) -> list[int]:
        """Where squares begin along an edge; the last ends at the edge."""
        last = max(0, length - self.crop)
        return sorted({*range(0, last, self.stride), last})


@torch.no_grad()
def label_pixels(
    units: Units,
    picture: Image.Image,
    texts: Float[Tensor, "c d"],
    window: Window | None = None,
    *,
    through: bool = True,
    least: float | None = None,
    batch: int = 16,
) -> Int[np.ndarray, "h w"]:
    """Label every pixel of a picture of any size, averaging over windows.

    `units.model` is a dense model with `pixels`. Where there is no window the picture is squashed
    into one square.
    """
    model: Any = units.model
    side = model.preprocess.size
    window = window or Window(side[0], side[0], side[0])
    ratio = window.short / min(picture.size)
    width, height = (max(window.crop, round(ratio * edge)) for edge in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    places = [(x, y) for y in window.corners(height) for x in window.corners(width)]
    total, seen = torch.zeros(len(texts), height, width), torch.zeros(height, width)
    unit = normalize(texts, dim=1)
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        squares = [resized.crop((x, y, x + window.crop, y + window.crop)) for x, y in some]
        acts = model.acts(model.pixels([s.resize(side[::-1], Image.Resampling.BICUBIC) for s in squares]))  # fmt: skip # noqa: E501
        held = units.dictionary.decode(units.dictionary.encode(acts)) if through else acts
        logits = (normalize(held, dim=-1) @ unit.to(held).T).mT.unflatten(2, model.grid).cpu()
        maps = interpolate(logits, (window.crop, window.crop), mode="bilinear")
        for (x, y), one in zip(some, maps, strict=True):
            total[:, y : y + window.crop, x : x + window.crop] += one
            seen[y : y + window.crop, x : x + window.crop] += 1
    whole = interpolate((total / seen)[None], picture.size[::-1], mode="bilinear")[0]
    best = whole.max(0)
    labels = best.indices if least is None else best.indices.where(best.values >= least, NOTHING)
    return labels.numpy()


@dataclass(frozen=True)
class ClassIoU:
    """Intersection over union of one class, over all pictures; `pictures` hold it."""

    name: str
    iou: float
    pictures: int


def mean_iou(
    found: Sequence[Int[np.ndarray, "h w"]],
    truth: Sequence[Int[np.ndarray, "h w"]],
    classes: Sequence[str],
) -> tuple[float, tuple[ClassIoU, ...]]:
    """Mean over classes of the intersection over the union, pixels of all pictures together.

    Pixels whose truth is negative are left out, as is usual for edges.
    """
    count = len(classes)
    table, held = np.zeros((count + 1, count + 1), np.int64), np.zeros(count, np.int64)
    for mine, right in zip(found, truth, strict=True):
        here = right >= 0
        pairs = np.where(mine[here] < 0, count, mine[here]) * (count + 1) + right[here]
        table += np.bincount(pairs, minlength=(count + 1) ** 2).reshape(count + 1, count + 1)
        held += np.isin(np.arange(count), right)
    both = np.diag(table)[:count]
    either = table.sum(0)[:count] + table.sum(1)[:count] - both
    each = tuple(
        ClassIoU(name, float(both[i] / either[i]), int(held[i]))
        for i, name in enumerate(classes)
        if held[i]
    )
    return float(np.mean([one.iou for one in each])) if each else float("nan"), each
