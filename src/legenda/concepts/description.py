"""Classification by description: a class is the mean of what it looks like.

With descriptors D(c) of a class c, such as "a striped coat", and an image e,

    s(c, e) = 1/|D(c)| Σ_{d ∈ D(c)} cos(e, text(d))                       (1)

The terms of the sum are the explanation, and the lists can be edited. Whether the *meaning* of
descriptors helps is another question: random ones help, too, by averaging over wordings. So the
control deals the descriptors of all classes out anew, as many to each class, several times.

References
----------
Menon, Vondrick. Visual classification via description from large language models. ICLR 2023. (1).
Roth, Kim, Koepke, Vinyals, Schmid, Akata. Waffling around for performance: visual classification
with random words and broad concepts. ICCV 2023. That random descriptors help.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from legenda.core.interval import Interval, bootstrap, wilson
from legenda.errors import BadInput

TEMPLATE = "{name}, which has {descriptor}"
EmbedText = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True, eq=False)
class ByDescription:
    """Scores of images (b c), and of every descriptor (b t): whose each is says `owner`."""

    classes: tuple[str, ...]
    descriptors: tuple[str, ...]
    owner: Int[Tensor, " t"]
    each: Float[Tensor, "b t"]
    scores: Float[Tensor, "b c"]

    def reasons(self, image: int, name: str) -> list[tuple[str, float]]:
        """The descriptors of a class, the best matched first."""
        own = (self.owner == self.classes.index(name)).nonzero()[:, 0]
        pairs = [(self.descriptors[i], float(self.each[image, i])) for i in own.tolist()]
        return sorted(pairs, key=lambda pair: -pair[1])


@dataclass(frozen=True)
class Compared:
    """Accuracy with its interval, that of the name alone, and of descriptors dealt by lot.

    `gain` is the difference to the mean of the dealt ones, per image, with its interval.
    """

    accuracy: float
    interval: Interval
    names: float
    dealt: tuple[float, ...]
    gain: float
    gain_interval: Interval
    images: int


def classify(
    images: Float[Tensor, "b e"],
    descriptors: Mapping[str, Sequence[str]],
    embed_text: EmbedText,
    template: str = TEMPLATE,
) -> ByDescription:
    """Equation (1) for every image and class."""
    told = checked(descriptors)
    texts = [template.format(name=n, descriptor=d) for n, several in told.items() for d in several]
    owner = torch.tensor([i for i, several in enumerate(told.values()) for _ in several])
    each = normalize(images, dim=1) @ normalize(embed_text(texts).to(images), dim=1).T
    flat = tuple(d for several in told.values() for d in several)
    return ByDescription(tuple(told), flat, owner, each, averaged(each, owner, len(told)))


def averaged(each: Float[Tensor, "b t"], owner: Int[Tensor, " t"], count: int) -> Float[Tensor, "b c"]:  # fmt: skip # noqa: E501
    """Mean over the descriptors of each class."""
    total = each.new_zeros(len(each), count).index_add_(1, owner, each)
    return total / owner.bincount(minlength=count).to(each)


def compared(
    images: Float[Tensor, "b e"],
    labels: Int[Tensor, " b"],
    descriptors: Mapping[str, Sequence[str]],
    embed_text: EmbedText,
    template: str = TEMPLATE,
    draws: int = 10,
    seed: int = 0,
) -> Compared:
    """Accuracy beside its two controls: the name alone, and descriptors of other classes."""
    right = _right(classify(images, descriptors, embed_text, template).scores, labels)
    plain = {name: [name] for name in descriptors}
    alone = _right(classify(images, plain, embed_text, "a photo of {name}").scores, labels)
    dealt = [
        _right(
            classify(images, dealing(descriptors, seed + draw), embed_text, template).scores, labels
        )  # noqa: E501
        for draw in range(draws)
    ]
    gap = right - torch.stack(dealt).mean(0)
    hits = int(right.sum())
    return Compared(
        hits / len(right), wilson(hits, len(right)), float(alone.mean()),
        tuple(float(d.mean()) for d in dealt), float(gap.mean()), bootstrap(gap, seed), len(right),
    )  # fmt: skip


def dealing(descriptors: Mapping[str, Sequence[str]], seed: int) -> dict[str, list[str]]:
    """All descriptors dealt out anew, as many to each class as it had."""
    told = checked(descriptors)
    flat = [d for several in told.values() for d in several]
    lot = torch.Generator().manual_seed(seed)
    order = iter(torch.randperm(len(flat), generator=lot).tolist())
    return {name: [flat[next(order)] for _ in several] for name, several in told.items()}


def checked(descriptors: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Two classes or more, each with a descriptor or more."""
    bare = [name for name, several in descriptors.items() if not list(several)]
    if len(descriptors) < 2 or bare:
        raise BadInput(
            "classification by description needs two classes or more, each with descriptors; it "
            f"got {len(descriptors)}{f', and none for {bare[0]!r}' if bare else ''}."
        )
    return {name: list(several) for name, several in descriptors.items()}


def _right(scores: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    return (scores.argmax(1) == labels).float()
