"""Counterfactual masking: would judges still see the concept without the tokens that make it?

The tokens t of an image are painted, clean and without those that a method puts first; judges
that the method has never seen say what they see. With f_y the logit of the right class, or its
probability, P the painter, and M_N what is gone at a count of N,

    d_N = f_y(P(t)) - f_y(P(t without M_N))                               (1)

The picture is compared with its own reconstruction, not with the photograph, so that what the
tokens never held counts for nobody. Which tokens are M_N is said in `masks.py`, what comes in
their place in `intervene/`; means, intervals and paired differences are taken in `curves.py`.

Differs from the official code: masks of equal area stand beside the published ones; tokens can be
replaced before decoding, where theirs only blackens pixels; many pictures go through a judge at
once, and each clean one once for all methods; a judge may not be the extractor.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. (1) for N = 5, 10, …, 50, masks by id, black squares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.errors import BadInput, Refused, ShapeError
from legenda.intervene.tokens import Intervention
from legenda.score.curves import Curve, Right, joined
from legenda.score.judges import Judge, checked_judges, read
from legenda.score.masks import MODES, Mode, Order, checked_count, depth, ran_out
from legenda.types import Acts, Images, Mask, Tokens

Method = Order | Callable[[int], Mask]
Paint = Callable[[Tokens | Acts], Images]
ROWS = 1024
"""Masks of so many images are made at once."""


@dataclass(frozen=True)
class MaskingCurve:
    """Equation (1) for every method and judge, `b n -> s b` each.

    Parameters
    ----------
    intervention: what comes in the place of tokens that are gone; see `intervene/tokens.py`.
    counts: N; more take more away, and all are at most the size of the grid.
    mode: the N best "position"s, every position that carries an "id" of theirs (as published),
        or whole ids until exactly N positions are gone ("equal-area").
    batch: pictures at once; changes speed and memory, never the result. More than some 50 no longer
        fit the caches of a CPU.
    seed: of the lots by which the last id is cut.
    """

    intervention: Intervention
    counts: tuple[int, ...] = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    mode: Mode = "equal-area"
    batch: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.counts or self.batch < 1 or list(self.counts) != sorted(set(self.counts)):
            raise BadInput(
                f"MaskingCurve needs counts that rise, and a batch of 1 or more; it got "
                f"counts={self.counts}, batch={self.batch}. Try counts=(5, 10, 20)."
            )
        if self.mode not in MODES:
            raise BadInput(
                f"MaskingCurve masks by 'position', 'id' or 'equal-area'; it got {self.mode!r}. "
                "Choose one of them."
            )

    def __call__(
        self,
        tokens: Tokens,
        methods: Mapping[str, Method],
        paint: Paint,
        judges: Mapping[str, Judge],
        labels: Int[Tensor, " b"],
        extractor: object = None,
    ) -> dict[tuple[str, str], Curve]:
        """A curve for each method and judge, `found[method, judge]`.

        A method is an order, or a function from a count to what is gone (b n), such as a list of
        ids that grows. `extractor` is what the methods looked into, or several such in a tuple.
        """
        checked_labels(tokens, labels)
        checked_judges(judges, extractor)
        if not methods:
            raise BadInput("masking needs at least one method; it got none. Add a random one too.")
        masks = {name: self.masks(name, tokens, method) for name, method in methods.items()}
        gone = {name: pair[0] for name, pair in masks.items()}
        trial = Trial(self, tokens, gone, paint, dict(judges), labels)
        rows = torch.arange(len(tokens), device=tokens.device)
        parts = [trial.part(some) for some in rows.split(self.batch)]
        right = {key: joined([part[key] for part in parts]) for key in parts[0]}
        return {
            (name, judge): Curve(
                name, judge, self.counts, right[None, judge], right[name, judge],
                gone.double().mean(2).cpu(), short.cpu(),
            )
            for name, (gone, short) in masks.items()
            for judge in judges
        }  # fmt: skip

    def masks(
        self, name: str, tokens: Tokens, method: Method
    ) -> tuple[Bool[Tensor, "s b n"], Bool[Tensor, "s b"]]:
        """What is gone at each count, and whose list named too few positions."""
        checked_count(tokens, self.counts[-1])
        if isinstance(method, Order):
            checked_shape(name, tokens, method.positions)
            rows = torch.arange(len(tokens), device=tokens.device).split(ROWS)
            deep = torch.cat([depth(tokens[r], method.at(r), self.mode, self.seed) for r in rows])
            gone = torch.stack([deep < count for count in self.counts])
            return gone, torch.stack([ran_out(method, count) for count in self.counts])
        found = [method(count) for count in self.counts]
        for count, one in zip(self.counts, found, strict=True):
            checked_shape(name, tokens, one)
            checked_area(name, self.mode, one, count)
        gone = torch.stack(found)
        return gone, torch.zeros_like(gone[..., 0])


@dataclass(frozen=True)
class Trial:
    """Everything that is judged, a few images at a time."""

    how: MaskingCurve
    tokens: Tokens
    gone: dict[str, Bool[Tensor, "s b n"]]
    paint: Paint
    judges: dict[str, Judge]
    labels: Int[Tensor, " b"]

    @torch.no_grad()
    def part(self, rows: Int[Tensor, " r"]) -> dict[tuple[str | None, str], Right]:
        """Some of the images: clean, as if by the method None, and under every method's masks."""
        clean, batch = self.painted(self.tokens[rows]), self.how.batch
        found: dict[tuple[str | None, str], Right] = {
            (None, judge): right for judge, right in self.judged(clean, rows).items()
        }
        gone = torch.stack([masks[:, rows] for masks in self.gone.values()])
        flat, again = gone.flatten(0, 2), torch.arange(len(rows), device=rows.device)
        again = again.repeat(len(flat) // len(rows))
        pieces = [
            self.judged(self.without(clean, rows, some, mask), rows[some])
            for some, mask in zip(again.split(batch), flat.split(batch), strict=True)
        ]
        for judge in self.judges:
            whole = joined([piece[judge] for piece in pieces]).folded(tuple(gone.shape[:3]))
            found.update({(name, judge): whole.of(m) for m, name in enumerate(self.gone)})
        return found

    def without(
        self,
        clean: Float[Tensor, "r c h w"],
        rows: Int[Tensor, " r"],
        some: Int[Tensor, " q"],
        gone: Bool[Tensor, "q n"],
    ) -> Float[Tensor, "q c h w"]:
        """Pictures of the images `rows[some]` without what is gone."""
        how = self.how.intervention.at(rows[some])
        if how.space == "pixels":
            return how(clean[some], gone)
        return self.painted(how(self.tokens[rows[some]], gone))

    def painted(self, z: Tokens | Acts) -> Images:
        """Pictures, if they are fit to be seen."""
        images = self.paint(z)
        if images.isfinite().all():
            return images
        bad = int((~images.flatten(1).isfinite()).any(1).sum())
        raise Refused(
            f"the painter gave NaN or infinity in {bad} of {len(images)} pictures. "
            "Check the weights of the decoder."
        )

    def judged(self, images: Images, rows: Int[Tensor, " r"]) -> dict[str, Right]:
        """What each judge says of pictures."""
        labels, highest = self.labels[rows], int(self.labels.max())
        return {
            name: read(name, judge, images, labels, highest) for name, judge in self.judges.items()
        }


def checked_labels(tokens: Tensor, labels: Tensor) -> None:
    """Refuse labels that are not one number per image."""
    if not len(tokens) or labels.shape != tokens.shape[:1] or labels.min() < 0:
        raise BadInput(
            f"masking needs images, and the number of the right class for each, from 0; it got "
            f"{len(tokens)} images and {labels.numel()} labels"
            f"{f' from {int(labels.min())}' if labels.numel() else ''}."
        )


def checked_shape(name: str, tokens: Tensor, given: Tensor) -> None:
    """Refuse an order or a mask of other tokens."""
    if given.shape != tokens.shape:
        raise ShapeError(
            f"method {name} must order or mask all positions of all images {tuple(tokens.shape)}; "
            f"it gave {tuple(given.shape)}. Make it from the same tokens."
        )


def checked_area(name: str, mode: Mode, gone: Mask, count: int) -> None:
    """Refuse masks of another area where every method must take the same."""
    area = gone.sum(1)
    if mode != "id" and (area != count).any():
        raise BadInput(
            f"method {name} takes {int(area.min())} to {int(area.max())} cells where {mode} takes "
            f"exactly {count}. Give an order, or use mode='id'."
        )
