"""Edge map: how much there is to see, as an attribution.

Many attribution maps look like drawings of the picture, and please for that reason. This
one is a drawing, by Sobel's operator on the mean g of the colours, and knows no model:

    A_n = mean_{p in n} √( (S * g)_p² + (Sᵀ * g)_p² )                     (1)
    S = (1 2 1)ᵀ (1 0 -1) / 8                                             (2)

A method whose maps resemble it may have found edges only. The border repeats the last
pixels, so that the frame of the picture is no edge.

References
----------
Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim. Sanity checks for saliency maps.
NeurIPS 2018. Section 6, the edge detector as a comparison.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import Unsupported
from legenda.explain.positions import place_of


@dataclass(frozen=True)
class EdgeMap:
    """Mean strength of edges in each patch, `b c h w -> b n`; model and target are idle."""

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        if x.ndim != 4:
            raise Unsupported(
                "EdgeMap", "a picture", "a sentence", "For words, compare with Random."
            )
        place = place_of(units, x, target, "input")
        across, down = x.new_tensor([1.0, 0.0, -1.0]), x.new_tensor([1.0, 2.0, 1.0])
        sobel = torch.outer(down, across) / 8  # (2)
        grey = pad(x.detach().mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        slopes = conv2d(grey, torch.stack([sobel, sobel.T])[:, None])
        edges = slopes.pow(2).sum(1, keepdim=True).sqrt()
        rows = torch.arange(len(x), device=x.device)
        area = place.total(torch.ones_like(edges), rows).clamp(min=1)
        scores = place.total(edges, rows) / area  # (1)
        return Attribution(x, scores, place.drawn, units.model.grid, "pixel value per pixel")
