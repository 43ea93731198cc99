"""Occlusion: what the target loses when a position is covered.

Cover a window of patches around position n, or one word, and look again:

    A_n = f(v) - f(v without the window around n)                         (1)

Signed: a negative position was speaking against. A window larger than a patch also covers
what several patches show only together, and is a strong rival to finer methods.

Differs from the paper: the window is made of whole patches and moves by one patch, so the
map is on the model's own grid; a word is covered by the mean of the acts at the site, not
taken out, so that the others keep their places.

References
----------
Zeiler, Fergus. Visualizing and understanding convolutional networks. ECCV 2014. Section 4.2.
Li, Monroe, Jurafsky. Understanding neural networks through representation erasure.
arXiv 1612.08220, 2016. The same for words.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput
from legenda.explain.positions import At, Fill, Place, place_of, under


@dataclass(frozen=True)
class Occlusion:
    """Drop of the target when a position is covered, `b c h w -> b n` or `b n -> b n`, signed.

    Parameters
    ----------
    at: "input" covers pixels (the site for words), "site" positions of the site.
    window: patches across, odd; larger windows find larger things, less sharply. Words are
        covered one at a time.
    fill: what a covered pixel becomes: the "mean" colour (zero), or itself under a "blur".
    moments: the mean that covers at the site; None takes the input's own.
    batch: covered inputs at once; changes speed and memory, never the result.
    """

    at: At = "input"
    window: int = 3
    fill: Fill = "mean"
    moments: Moments | None = field(default=None, repr=False)
    batch: int = 64

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 == 0:
            raise BadInput(
                f"Occlusion needs an odd window of 1 or more patches; it got {self.window}. Try 3."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        place = place_of(units, x, target, self.at, fill=self.fill, moments=self.moments)
        scores = place.value.new_zeros(place.drawn.shape)
        for row in range(len(x)):
            scores[row, place.drawn[row]] = self._drops(place, row, units.model.grid)
        return Attribution(x, scores, place.drawn, units.model.grid, "target")

    def _drops(self, place: Place, row: int, grid: tuple[int, int] | None) -> Float[Tensor, " n"]:
        drawn = place.drawn[row]
        keep = place.value.new_ones(int(drawn.sum()) + 1, len(drawn))
        keep[1:, drawn] = 1 - windows(int(drawn.sum()), grid, self.window).to(keep)
        scores = under(place, row, keep, self.batch)
        return scores[0] - scores[1:]  # (1)


def windows(count: int, grid: tuple[int, int] | None, side: int) -> Float[Tensor, "n n"]:
    """Row n is 1 at the positions of the window around position n."""
    if grid is None:
        return torch.eye(count)
    rows, columns = torch.arange(grid[0]), torch.arange(grid[1])
    down = (rows[:, None] - rows).abs() <= side // 2
    across = (columns[:, None] - columns).abs() <= side // 2
    return torch.kron(down.float(), across.float())
