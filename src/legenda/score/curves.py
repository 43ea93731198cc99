"""Masking curves: how far a judge falls as more and more of an image's tokens go.

Values are kept image by image, so that two methods can be compared on the same images. With
f_i the right class of image i, as a logit or a probability, and f_iN the same with N gone,

    d_iN = f_i - f_iN                                                     (1)
    a_i = mean_N d_iN,     the area under the curve of image i            (2)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.errors import BadInput
from legenda.score.compare import Difference, difference

Of = Literal["logit", "probability"]


@dataclass(frozen=True)
class Right:
    """What a judge says of the right class of each image, perhaps at each step."""

    logit: Float[Tensor, "*s b"]
    probability: Float[Tensor, "*s b"]

    def at(self, rows: Int[Tensor, " r"]) -> "Right":
        """The same of some of the images."""
        return Right(self.logit[..., rows], self.probability[..., rows])

    def folded(self, shape: tuple[int, ...]) -> "Right":
        """The same with axes in front of that of images."""
        return Right(self.logit.view(shape), self.probability.view(shape))

    def of(self, number: int) -> "Right":
        """The same for one place of the first axis."""
        return Right(self.logit[number], self.probability[number])


def joined(parts: Sequence[Right]) -> Right:
    """Put end to end, image after image."""
    logits, probabilities = [p.logit for p in parts], [p.probability for p in parts]
    return Right(torch.cat(logits, -1), torch.cat(probabilities, -1))


@dataclass(frozen=True)
class Curve:
    """One method in the eyes of one judge.

    Parameters
    ----------
    method, judge: their names.
    counts: N, at each step.
    clean: of the pictures of which nothing is gone (b).
    masked: of the same pictures at each step (s b).
    area: share of the cells that are gone.
    ran_out: images whose list named fewer than N positions.
    """

    method: str
    judge: str
    counts: tuple[int, ...]
    clean: Right
    masked: Right
    area: Float[Tensor, "s b"]
    ran_out: Bool[Tensor, "s b"]

    def drop(self, of: Of = "logit") -> Float[Tensor, "s b"]:
        """Equation (1)."""
        if of == "logit":
            return self.clean.logit - self.masked.logit
        return self.clean.probability - self.masked.probability

    def at(self, rows: Int[Tensor, " r"]) -> "Curve":
        """The same of some of the images, such as those of one class."""
        return replace(
            self, clean=self.clean.at(rows), masked=self.masked.at(rows),
            area=self.area[:, rows], ran_out=self.ran_out[:, rows],
        )  # fmt: skip

    def points(self, of: Of = "logit", control: "Curve | None" = None, seed: int = 0) -> tuple[Score, ...]:  # fmt: skip # noqa: E501
        """The mean of (1) at each step, with its interval, beside that of a control."""
        others = [None] * len(self.counts) if control is None else control.drop(of)
        return tuple(
            scored(f"{of} drop, {count} of {self.method}", values, other, seed)
            for count, values, other in zip(self.counts, self.drop(of), others, strict=True)
        )


def area_under(curve: Curve, of: Of = "logit") -> Float[Tensor, " b"]:
    """Equation (2); the larger, the more the judge needed what the method chose."""
    return curve.drop(of).mean(0)


def lead(one: Curve, other: Curve, of: Of = "logit", seed: int = 0) -> Difference:
    """By how much more one method's masks take than the other's, image by image."""
    same_images = one.clean.logit.shape == other.clean.logit.shape
    if one.judge != other.judge or one.counts != other.counts or not same_images:
        raise BadInput(
            f"lead compares two methods before one judge, at the same counts, on the same images; "
            f"it got {one.judge} and {other.judge}, {said(one)} and {said(other)}. "
            "Take both curves from one call."
        )
    if not torch.allclose(one.clean.logit, other.clean.logit, rtol=1e-3, atol=1e-4):
        raise BadInput(
            f"lead compares two methods on the same images; {one.judge} says other things of the "
            "clean pictures of the second curve. Take both curves from one call."
        )
    return difference(
        one.method, area_under(one, of), other.method, area_under(other, of), seed=seed
    )


def said(curve: Curve) -> str:
    """Its size, for a message."""
    return f"{curve.clean.logit.shape[0]} images at counts {curve.counts}"


def scores(
    found: Mapping[tuple[str, str], Curve],
    control: str | None = None,
    of: Of = "logit",
    seed: int = 0,
) -> dict[tuple[str, str], Score]:
    """The mean of (2) for every method and judge, beside that of the method named as control."""
    if control is not None and control not in {method for method, _ in found}:
        raise BadInput(
            f"{control!r} is not among the methods {', '.join(sorted({m for m, _ in found}))}. "
            "Name a control that was masked too."
        )
    return {
        (method, judge): scored(
            f"{of} drop",
            area_under(curve, of),
            None if control is None else area_under(found[control, judge], of),
            seed,
        )
        for (method, judge), curve in found.items()
    }


def scored(name: str, values: Tensor, control: Tensor | None, seed: int) -> Score:
    """A mean over images, with its interval and that of the control."""
    beside = (None, None) if control is None else (float(control.mean()), bootstrap(control, seed))
    unit = "of the logit" if name.startswith("logit") else "of the probability"
    return Score(
        name, float(values.mean()), bootstrap(values, seed), len(values), True, *beside, unit
    )
