"""Taking away what an attribution points at: patches of a picture, or words of a sentence.

Patches go in the order of their score, ties by lot, and are filled with the mean colour, with
their own blur, or with what their neighbours predict (ROAD). Words give way to a blank token,
or to the mean act of their sentence at the site; never to another word. Special tokens stay.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.evidence import Attribution
from legenda.core.model import Edit, Run
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.errors import BadInput
from legenda.intervene import pixels
from legenda.score.inputs import lots, on_grid
from legenda.types import Acts, Mask

Fill = Literal["mean", "blur", "road"]
FILLS = ("mean", "blur", "road")


def ranks(x: Tensor, evidence: Attribution, seed: int) -> Int[Tensor, "b n"]:
    """Each position's place in the order of scores, 0 first; ties by lot, undrawn ones last."""
    shuffle = lots(x, evidence.drawn, seed ^ 0x5DEECE66D).argsort(1)
    scores = evidence.scores.detach().masked_fill(~evidence.drawn, -torch.inf).gather(1, shuffle)
    order = shuffle.gather(1, torch.argsort(scores, dim=1, descending=True, stable=True))
    return order.argsort(1)


def first(
    place: Int[Tensor, "b n"], drawn: Bool[Tensor, "b n"], share: float
) -> Bool[Tensor, "b n"]:
    """The most attributed `share` of the drawn positions, rounded to whole ones, half up."""
    count = (share * drawn.sum(1).double() + 0.5).floor()
    return (place < count[:, None]) & drawn


def checked_fill(who: str, fill: str) -> None:
    """Refuse a fill that is not known."""
    if fill not in FILLS:
        raise BadInput(f"{who} fills with 'mean', 'blur' or 'road'; it got {fill!r}. Choose one.")


def checked_shares(who: str, shares: tuple[float, ...]) -> None:
    """Refuse shares to remove that are none, or not between 0 and 1."""
    if not shares or any(not 0 < share < 1 for share in shares):
        raise BadInput(
            f"{who} removes shares between 0 and 1; it got {shares!r}. Try (0.1, 0.3, 0.5)."
        )


def checked_blank(x: Tensor, drawn: Mask, blank: int) -> None:
    """Refuse a blank that is a word of the text, or the token that begins or ends it."""
    if (x[drawn] == blank).any():
        raise BadInput(
            f"words are blanked by a token that says nothing; token {blank} is a word of these "
            "sentences. Give the mask token, or None for a neutral embedding."
        )
    at = torch.arange(x.shape[1], device=x.device)
    last = torch.where(drawn, at, -1).amax(1) + 1
    lead = torch.where(drawn, at, x.shape[1]).amin(1) - 1
    rows = torch.arange(len(x), device=x.device)
    ends = x[rows, last.clamp(max=x.shape[1] - 1)][last < x.shape[1]]
    begins = x[rows, lead.clamp(min=0)][lead >= 0]
    if (torch.cat([begins, ends]) == blank).any():
        raise BadInput(
            f"words are blanked by a token that says nothing; token {blank} begins or ends these "
            "sentences. Give the mask token, or None for a neutral embedding."
        )


@dataclass(frozen=True)
class Removal:
    """The target, or the output, of inputs from which some positions are gone.

    Parameters
    ----------
    units, x, target, evidence: what is judged; positions are those of the evidence.
    fill: what removed patches are filled with.
    sigma: width of the blur, as a share of the picture's height; larger leaves less.
    blank: token that stands for removed words; None puts the sentence's mean act at the site.
    seed: of ROAD's noise.
    batch: inputs per forward pass.
    """

    units: Units
    x: Tensor
    target: Target
    evidence: Attribution
    fill: Fill = "mean"
    sigma: float = 0.05
    blank: int | None = None
    seed: int = 0
    batch: int = 64

    def __post_init__(self) -> None:
        checked_fill("Removal", self.fill)
        if self.x.ndim == 2 and self.blank is not None:
            checked_blank(self.x, self.evidence.drawn, self.blank)

    def __call__(self, gone: Bool[Tensor, "s b n"]) -> Float[Tensor, "s b"]:
        """The target of every input at every step."""
        with torch.no_grad():
            found = [self.target.at(r)(self._run(r, g)) for r, g in self._parts(gone)]
        return torch.cat(found).unflatten(0, gone.shape[:2])

    def outputs(self, gone: Bool[Tensor, "b n"]) -> Float[Tensor, "b e"]:
        """What the model returns, instead of the target."""
        with torch.no_grad():
            return torch.cat([self._run(*part).output for part in self._parts(gone[None])])

    def _parts(self, gone: Bool[Tensor, "s b n"]) -> list[tuple[Tensor, Tensor]]:
        """Steps and inputs, end to end, cut into batches."""
        rows = torch.arange(len(self.x), device=self.x.device).repeat(len(gone))
        flat = gone.flatten(0, 1)
        return list(zip(rows.split(self.batch), flat.split(self.batch), strict=True))

    def _run(self, rows: Int[Tensor, " r"], gone: Bool[Tensor, "r n"]) -> Run:
        return self.units.model.run(*self.without(rows, gone))

    def without(
        self, rows: Int[Tensor, " r"], gone: Bool[Tensor, "r n"]
    ) -> tuple[Tensor, Edit | None]:
        """The inputs `rows` without some positions, and the edit that removes the rest."""
        x = self.x[rows]
        if x.ndim == 4:
            return self._filled(x, self._pixels(rows, gone)), None
        if self.blank is not None:
            return x.masked_fill(gone, self.blank), None
        drawn = self.evidence.drawn[rows]
        return x, lambda acts: neutral(acts, gone, drawn)

    def _pixels(self, rows: Int[Tensor, " r"], gone: Bool[Tensor, "r n"]) -> Bool[Tensor, "r h w"]:
        grid = self.evidence.grid or (1, 1)
        cells = gone[self.evidence.drawn[rows]].unflatten(0, (len(rows), -1))
        return (
            pixels.upsample(cells.float(), grid, (self.x.shape[2], self.x.shape[3]), "nearest")
            > 0.5
        )

    def _filled(self, x: Tensor, where: Bool[Tensor, "r h w"]) -> Tensor:
        if self.fill == "blur":
            return pixels.blur(x, where, self.sigma * x.shape[2])
        if self.fill == "road":
            return pixels.noisy_linear(x, where, self.seed)
        return pixels.erase(x, where)


def neutral(acts: Acts, gone: Mask, drawn: Mask) -> Acts:
    """Put the mean act of a sentence's words in the place of those that are gone."""
    weight = drawn[..., None].to(acts.dtype)
    mean = (acts * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    return torch.where(gone[..., None], mean, acts)


def without_most(
    x: Float[Tensor, "b c h w"], evidence: Attribution, share: float, seed: int
) -> Float[Tensor, "b c h w"]:
    """Pictures whose most attributed patches are the mean colour."""
    gone = first(ranks(x, evidence, seed), evidence.drawn, share)
    cells = on_grid(gone.float(), evidence)
    where = (
        pixels.upsample(cells, evidence.grid or (1, 1), (x.shape[2], x.shape[3]), "nearest") > 0.5
    )
    return pixels.erase(x, where)
