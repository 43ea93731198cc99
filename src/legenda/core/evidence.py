"""What an explainer returns: pictures to look at and arrays to keep."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from legenda.core.codes import Codes
from legenda.types import Maps, Mask


class Panel(NamedTuple):
    """One picture with its caption: all that a reader, or a describer, ever sees."""

    image: Float[Tensor, "c h w"]
    caption: str


@runtime_checkable
class Evidence(Protocol):
    """Anything that can be shown (`panels`) and stored (`arrays`)."""

    def panels(self) -> list[Panel]: ...
    def arrays(self) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Attribution:
    """How much each position mattered to the target, in its own physical unit.

    `scores` covers every position, special and padded ones too; `drawn` says which belong
    on the picture (or in the sentence). `figures` holds one number per image about the
    whole, such as the cosine before and after.
    """

    x: Tensor
    scores: Maps
    drawn: Mask
    grid: tuple[int, int] | None
    unit: str
    figures: dict[str, Float[Tensor, " b"]] = field(default_factory=dict)

    def map(self) -> Float[Tensor, "b h w"]:
        """The scores of the drawn positions, laid out on their grid."""
        if self.grid is None:
            raise TypeError("word attributions have no grid; read `scores` where `drawn`")
        return self.scores[self.drawn].unflatten(0, (len(self.scores), *self.grid))

    def heatmap(self) -> Float[Tensor, "b h w"]:
        """The map, stretched over the image the model saw."""
        return interpolate(self.map()[:, None], self.x.shape[-2:], mode="bilinear")[:, 0]

    def per_unit(self, codes: Codes) -> Float[Tensor, "b k"]:
        """The scores, summed over the positions where each unit is on."""
        return codes.pooled(self.scores)

    def panels(self) -> list[Panel]:
        if self.grid is None:
            return [
                Panel(s[d].expand(1, 1, -1), f"peak {s[d].max():.3g} {self.unit}")
                for s, d in zip(self.scores, self.drawn, strict=True)
            ]
        if self.x.ndim != 4:  # tokens on a grid: there is no picture to draw on
            return [
                Panel(m.expand(3, *m.shape), f"peak {m.max():.3g} {self.unit}") for m in self.map()
            ]
        heat = self.heatmap()
        tall = heat / heat.abs().amax((1, 2), keepdim=True).clamp(min=1e-9)
        return [
            Panel(x * t, f"peak {h.max():.3g} {self.unit}")
            for x, h, t in zip(self.x, heat, tall, strict=True)
        ]

    def arrays(self) -> dict[str, Tensor]:
        return {"x": self.x, "scores": self.scores, "drawn": self.drawn, **self.figures}


@dataclass(frozen=True)
class Frames:
    """Images in an order that means something: a traversal, or exemplars by strength."""

    images: Float[Tensor, "s c h w"]
    values: Float[Tensor, " s"]

    def panels(self) -> list[Panel]:
        return [Panel(i, f"{v:+.2f}") for i, v in zip(self.images, self.values, strict=True)]

    def arrays(self) -> dict[str, Tensor]:
        return {"images": self.images, "values": self.values}
