"""Saliency: how steeply the target rises or falls with each pixel.

The gradient of the target f is its best linear approximation around the image; a pixel with
a large one is a pixel whose small change changes the target most. Over the channels c of a
pixel the largest counts, and over the pixels p of a patch their sum, or the largest:

    A_n = Σ_{p in n} max_c |∂f / ∂x_cp|                                   (1)
    A_n = ‖∂f / ∂a_n‖₂              at the site, and so for words         (2)

Differs from the paper: maps are on the model's own grid of patches, so that all methods can
be compared. (2) is the usual form for embeddings, which have no channels to choose among.

References
----------
Simonyan, Vedaldi, Zisserman. Deep inside convolutional networks: visualising image
classification models and saliency maps. ICLR workshop 2014. Section 3, (1).
Li, Chen, Hovy, Jurafsky. Visualizing and understanding neural models in NLP. NAACL 2016.
Gradients at word embeddings.
"""

from dataclasses import dataclass

from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.explain.positions import At, Place, Pool, Rows, by_rows, place_of, slope


@dataclass(frozen=True)
class Saliency:
    """Size of the gradient, `b c h w -> b n` or `b n -> b n`, never negative.

    Parameters
    ----------
    at: "input" takes the gradient at the pixels (at the site for words), "site" at the site.
    pool: "sum" adds up the pixels of a patch, "max" takes the largest.
    batch: inputs at once; changes speed and memory, never the result.
    """

    at: At = "input"
    pool: Pool = "sum"
    batch: int = 64

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at)
        scores = by_rows(place, self.batch, lambda rows: self._map(place, rows))
        return Attribution(x, scores, place.drawn, units.model.grid, "slope of the target")

    def _map(self, place: Place, rows: Rows) -> Tensor:
        gradient = slope(place, place.value[rows], rows)
        return place.strength(gradient, rows, self.pool)  # (1), (2)
