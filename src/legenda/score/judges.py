"""Judges: classifiers of pictures that the explained model has nothing to do with.

A judge is any function from pictures to logits (b classes). It must know every label, say finite
numbers, be at rest (no dropout, no batch statistics), and not be what the explanation was made
from: an extractor that judges its own tokens finds itself right.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from legenda.errors import BadInput, Refused, ShapeError
from legenda.score.curves import Right
from legenda.types import Images

Judge = Callable[[Images], Float[Tensor, "b classes"]]


def read(name: str, judge: Judge, images: Images, labels: Int[Tensor, " b"], highest: int) -> Right:
    """What a judge says of the right class of each picture; `highest` is the largest label."""
    logits = judge(images)
    if logits.ndim != 2 or len(logits) != len(labels):
        raise ShapeError(
            f"judge {name} must give a row of logits for each of {len(labels)} pictures; it gave "
            f"{tuple(logits.shape)}. Leave out what comes after the logits."
        )
    if logits.shape[1] <= highest:
        raise BadInput(
            f"judge {name} knows {logits.shape[1]} classes, numbered from 0; the labels go up to "
            f"{highest}. Give a judge of all classes, or leave the other images out."
        )
    if not logits.isfinite().all():
        raise Refused(
            f"judge {name} gave NaN or infinity for {int((~logits.isfinite()).any(1).sum())} of "
            f"{len(logits)} pictures. Check its weights and the range of its pixels."
        )
    logits, at = logits.double(), labels[:, None].long()
    right = logits.gather(1, at), logits.softmax(1).gather(1, at)
    return Right(right[0][:, 0].cpu(), right[1][:, 0].cpu())


def checked_judges(judges: Mapping[str, Judge], extractor: object) -> None:
    """Refuse judges that are the extractor (or one of several, in a tuple), or are not at rest."""
    if not judges:
        raise BadInput("masking needs at least one judge; it got none. Two say more than one.")
    for name, judge in judges.items():
        for other in extractor if isinstance(extractor, tuple) else (extractor,):
            if other is not None and is_same(judge, other):
                raise Refused(
                    f"judge {name} is the extractor that the tokens were chosen with. Give a "
                    "classifier that was trained without it."
                )
        if getattr(judge, "training", False):
            raise Refused(
                f"judge {name} is in training mode, so that its answers depend on chance and on "
                "the batch. Call `.eval()` on it."
            )


def is_same(judge: Any, extractor: Any) -> bool:
    """Whether two things are one, or methods of one, or one is the network inside of the other."""
    ours, theirs = faces(judge), faces(extractor)
    return any(a is b for a in ours for b in theirs) or bool(judge == extractor)


def faces(thing: Any) -> list[Any]:
    """A thing, what it is a method of, and the network inside."""
    owner = getattr(thing, "__self__", thing)
    return [face for face in (thing, owner, getattr(owner, "root", None)) if face is not None]
