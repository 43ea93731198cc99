"""RISE: what the target is on average while a position can be seen.

Show the model the input through many random masks, and ask of each position how high the
target was with it in view. With mask m_i in [0, 1] and scores f_i = f(v₀ + m_i (v - v₀)),

    A_n = Σ_i f_i m_in / Σ_i m_in  -  (1/I) Σ_i f_i                       (1)

Masks of a picture are small grids of ones (with probability p) and zeros, enlarged smoothly
and shifted by less than a cell; v₀ is the mean colour. Words, and positions of a site, are
masked one by one, by the mean of the acts.

Differs from the official code: it divides by the coverage that each position really had,
not by the expected p, and subtracts the mean score; with many masks this only moves the
whole map by a constant. `keep=0.1, masks=6000` is what re-runs for CLIP have used.

References
----------
Petsiuk, Das, Saenko. RISE: randomized input sampling for explanation of black-box models.
BMVC 2018. (1), and the masks.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput
from legenda.explain.positions import At, AtPixels, Place, blended, place_of


@dataclass(frozen=True)
class RandomizedInputSampling:
    """How much higher the target is with a position in view, `b c h w -> b n` or `b n -> b n`.

    Parameters
    ----------
    at: "input" masks pixels (the site for words), "site" positions of the site.
    masks: random masks; more give a steadier map, at as much more cost.
    cells: cells per side of a mask for pixels; more draw finer, and need more masks.
    keep: p, the share that stays in view; larger leaves the model more to go by.
    moments: the mean that is a blank at the site; None takes the input's own.
    seed: of the masks. Every input sees the same ones.
    batch: masks at once; changes speed and memory, never the result.
    """

    at: At = "input"
    masks: int = 2000
    cells: int = 8
    keep: float = 0.5
    moments: Moments | None = field(default=None, repr=False)
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        if self.masks < 1 or self.cells < 1 or not 0 < self.keep < 1:
            raise BadInput(
                f"RandomizedInputSampling needs at least one mask and one cell, and 0 < keep < 1; "
                f"it got masks={self.masks}, cells={self.cells}, keep={self.keep}."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at, moments=self.moments)
        lot = torch.Generator().manual_seed(self.seed)
        masks = self._grids(lot) if isinstance(place, AtPixels) else self._words(place, lot)
        weighed, covered = torch.zeros(2, *place.drawn.shape, dtype=torch.float64)
        mean = torch.zeros(len(x), 1, dtype=torch.float64)
        shifts = torch.rand(self.masks, 2, generator=lot)
        for part, shift in zip(masks.split(self.batch), shifts.split(self.batch), strict=True):
            share = self._enlarged(part, x, shift) if isinstance(place, AtPixels) else part
            for row in range(len(x)):
                scores = blended(place, row, share).double().cpu()
                rows = torch.full((len(share),), row, device=x.device)
                view = place.total(share.to(place.value), rows).double().cpu()
                weighed[row] += scores @ view
                covered[row] += view.sum(0)
                mean[row] += scores.sum() / self.masks
        found = (weighed / covered.clamp(min=1e-12) - mean) * (covered > 0)  # (1)
        scores = (found.to(place.value) * place.drawn).detach()
        return Attribution(x, scores, place.drawn, units.model.grid, "target")

    def _grids(self, lot: torch.Generator) -> Tensor:
        """The small grids, (masks 1 cells cells)."""
        shape = (self.masks, 1, self.cells, self.cells)
        return (torch.rand(shape, generator=lot) < self.keep).float()

    def _enlarged(self, grids: Tensor, x: Tensor, shift: Tensor) -> Tensor:
        """Masks as large as the picture, each shifted by less than a cell."""
        h, w = x.shape[-2:]
        tall, wide = -(-h // self.cells), -(-w // self.cells)
        size = ((self.cells + 1) * tall, (self.cells + 1) * wide)
        large = interpolate(grids, size, mode="bilinear", align_corners=False).clamp(0, 1)
        places = (shift * torch.tensor([tall, wide])).long().tolist()
        return torch.stack(
            [
                m[:, down : down + h, across : across + w]
                for m, (down, across) in zip(large, places, strict=True)
            ]
        )

    def _words(self, place: Place, lot: torch.Generator) -> Tensor:
        """One draw per mask and position (masks n 1), whatever padding follows."""
        shape = (place.drawn.shape[1], self.masks)
        return (torch.rand(shape, generator=lot) < self.keep).float().T[..., None]
