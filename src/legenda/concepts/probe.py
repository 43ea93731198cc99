"""A linear probe on concepts: which of them tell classes apart, and what each adds.

An image is what it shows most of each concept, z_n = max_u z_n(u). Without a bias,

    logit_c = Σ_n W_cn z_n                                                (1)

so that what concept n adds to class c in an image is W_cn z_n, exactly. W is learned by

    min_W  CE(W z, y) + λ ‖W‖₁                                            (2)

with AdamW; λ and the learning rate are those of a sweep that do best on validation images. The
penalty is applied as a step of its own after each of AdamW's, in AdamW's own metric: with v̂ its
mean of squared slopes, every weight shrinks towards 0 by

    rate × λ / (√v̂ + ε)                                                   (3)

so that weights become 0 where (2) has them there, and a class can be read; `proximal=False` adds
λ‖W‖₁ to the loss, as published, which leaves them small. Activations are not standardised: scaling
each sparse code to unit spread cost about 16 points where it was tried (DisParQ's notes).

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. The protocol.
Parikh, Boyd. Proximal algorithms. Foundations and Trends in Optimization 2014. The shrinkage.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from legenda.core.interval import Interval, wilson
from legenda.errors import BadInput

Rows = Float[Tensor, "b k"]
Labels = Int[Tensor, " b"]
Apart = tuple[Float[Tensor, "v k"], Int[Tensor, " v"]]
"""Other images, and what they show."""


BETA2, EPSILON = 0.999, 1e-8
"""Of AdamW, as torch has them."""


class Tried(NamedTuple):
    """One place of the sweep: accuracy on validation images, and weights above 0 per class."""

    l1: float
    lr: float
    accuracy: float
    weights: float


@dataclass(frozen=True, eq=False)
class Probe:
    """A learned probe: `weight` (c k), the names of its classes, and the sweep it won."""

    weight: Float[Tensor, "c k"]
    classes: tuple[str, ...]
    tried: tuple[Tried, ...] = field(repr=False)
    chosen: Tried

    def logits(self, strongest: Rows) -> Float[Tensor, "b c"]:
        """Equation (1)."""
        return strongest @ self.weight.T

    def added(self, strongest: Rows, name: str) -> Rows:
        """What each concept adds to the logit of a class: weight times activation."""
        if name not in self.classes:
            raise BadInput(f"{name!r} is no class of this probe: {', '.join(self.classes)}.")
        return strongest * self.weight[self.classes.index(name)]

    def accuracy(self, strongest: Rows, labels: Labels) -> tuple[float, Interval, int]:
        """Share of images that are classified rightly, its 95 % interval, and their number."""
        right = int((self.logits(strongest).argmax(1) == labels).sum())
        return right / len(labels), wilson(right, len(labels)), len(labels)


@dataclass(frozen=True)
class LinearProbe:
    """How a probe is learned.

    Parameters
    ----------
    l1: penalties λ that are tried; a larger one leaves fewer concepts to a class.
    lr: learning rates that are tried.
    epochs: passes over the images; more fit closer.
    batch: images per step; more make steps steadier and fewer.
    proximal: whether the penalty makes weights exactly 0.
    seed: of the order of images.
    """

    l1: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2)
    lr: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    epochs: int = 100
    batch: int = 1024
    proximal: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an empty or impossible sweep."""
        if not self.l1 or not self.lr or min(self.l1) < 0 or min(self.lr) <= 0:
            raise BadInput(
                f"LinearProbe needs penalties of 0 or more and rates above 0; it got {self.l1} "
                f"and {self.lr}."
            )

    def __call__(
        self,
        strongest: Rows,
        labels: Labels,
        classes: Sequence[str],
        validation: Apart,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> Probe:
        """Learn on images, choose on `validation`."""
        checked(strongest, labels, classes)
        checked(*validation, classes)
        tried: list[tuple[Tried, Tensor]] = []
        places = list(product(self.l1, self.lr))
        for done, (l1, lr) in enumerate(places):
            weight = self.learned(strongest, labels, len(classes), l1, lr)
            right = (validation[0] @ weight.T).argmax(1) == validation[1]
            each = float((weight.abs() > 1e-4).sum(1).float().mean())
            tried.append((Tried(l1, lr, float(right.float().mean()), each), weight))
            report(done + 1, len(places))
        best, weight = max(tried, key=lambda one: (one[0].accuracy, one[0].l1))
        return Probe(weight, tuple(classes), tuple(one for one, _ in tried), best)

    def learned(
        self, strongest: Rows, labels: Labels, classes: int, l1: float, lr: float
    ) -> Float[Tensor, "c k"]:
        """Equation (2) at one penalty and rate."""
        weight = torch.zeros(classes, strongest.shape[1], requires_grad=True)
        optimizer = torch.optim.AdamW([weight], lr=lr, weight_decay=0.0)
        for epoch in range(self.epochs):
            lot = torch.from_numpy(
                np.random.default_rng((self.seed, epoch)).permutation(len(labels))
            )
            for rows in lot.split(self.batch):
                loss = cross_entropy(strongest[rows] @ weight.T, labels[rows])
                if not self.proximal:
                    loss = loss + l1 * weight.abs().sum()
                (weight.grad,) = torch.autograd.grad(loss, [weight])
                optimizer.step()
                if self.proximal and l1:
                    shrink(weight, lr * l1, optimizer.state[weight])
        return weight.detach()


@torch.no_grad()
def shrink(weight: Float[Tensor, "c k"], by: float, moments: dict[str, Tensor]) -> None:
    """Equation (3)."""
    spread = moments["exp_avg_sq"] / (1 - BETA2 ** float(moments["step"]))
    least = by / (spread.sqrt() + EPSILON)
    weight.copy_(weight.sign() * (weight.abs() - least).clamp(min=0))


def checked(strongest: Rows, labels: Labels, classes: Sequence[str]) -> None:
    """Refuse images and labels that do not fit."""
    if not len(labels):
        raise BadInput("LinearProbe needs images; it got none.")
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise BadInput(
            f"LinearProbe needs labels from 0 to {len(classes) - 1}; it got {int(labels.min())} "
            f"to {int(labels.max())}."
        )
    if not strongest.isfinite().all():
        raise BadInput("LinearProbe needs finite activations; some are NaN or infinite.")


def shuffled_accuracy(how: LinearProbe, found: Probe, strongest: Rows, labels: Labels, test: Apart) -> tuple[float, Interval, int]:  # fmt: skip # noqa: E501
    """The control: a probe learned the same way from labels dealt by lot."""
    lot = torch.Generator().manual_seed(how.seed)
    dealt = labels[torch.randperm(len(labels), generator=lot)]
    weight = how.learned(strongest, dealt, len(found.classes), found.chosen.l1, found.chosen.lr)
    return Probe(weight, found.classes, (), found.chosen).accuracy(*test)
