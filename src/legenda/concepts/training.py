"""Training of concept models: cross-entropy on the tokens of images, the best epoch kept.

Every epoch ends with the loss on the validation images; the epoch where that is lowest is what
is returned. Whatever is random is drawn from the seed and the number of the step, so a training
that was killed and goes on ends with the same bits. What is learned stands in `course.py`.

Differs from the official code: everything random has a seed; training can be resumed; tests come
with intervals and with what naming the most frequent concepts would reach.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Information extractors, trained by cross-entropy.
"""

from dataclasses import replace
from math import inf, isfinite
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from legenda.concepts.course import AT_ONCE, Course
from legenda.concepts.extractors import Extractor
from legenda.concepts.model import ConceptModel, top_shares
from legenda.concepts.storage import concept_model, note, noted
from legenda.concepts.token_set import TokenSet
from legenda.core.codebook import Codebook
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.errors import BadInput, Refused
from legenda.train.loop import Plan, Report, Schedule, fit, keep

SCHEDULE = Schedule(steps=1, lr=2e-3, warmup=100, weight_decay=0.05)
"""Suits the extractors of `SMALL`; the number of steps is that of the epochs."""


def train_concepts(
    extractor: Extractor,
    codebook: Codebook,
    training: TokenSet,
    validation: TokenSet,
    *,
    epochs: int,
    batch: int = 64,
    schedule: Plan = SCHEDULE,
    seed: int = 0,
    folder: Path | None = None,
    report: Report | None = None,
) -> ConceptModel:
    """Train an extractor; goes on from `folder` where it was left.

    Parameters
    ----------
    extractor, codebook: what is trained, and what the tokens stand for.
    training, validation: what is learned from, and what chooses the epoch.
    epochs: passes over the training images; more train longer.
    batch: images per step, at most; larger is steadier.
    schedule: of the learning rate, and the optimiser; its `steps` become those of the epochs.
    seed: of weights, order, noise and dropout.
    folder: where checkpoints are kept; None keeps none.
    report: is told the figures of every step; those that end an epoch have "validation loss" and
        "validation right" too.
    """
    check(codebook, training, validation, epochs, batch)
    course = Course(codebook, training, validation, -(-len(training) // batch), epochs, seed)
    schedule = replace(schedule, steps=epochs * course.steps)
    module = course.begun(extractor)
    if folder:
        claim(
            folder, extractor=extractor, codebook=codebook, training=training,
            validation=validation, batch=batch, schedule=schedule, seed=seed,
        )  # fmt: skip
    best = Best(module, folder and folder / "best.safetensors")
    checkpoint = folder and folder / "checkpoint.safetensors"

    def after(step: int, figures: dict[str, float]) -> None:
        if (step + 1) % course.steps == 0:
            found = course.validated(module)
            best.offer(found["loss"])
            figures = figures | {f"validation {name}": value for name, value in found.items()}
        if report:
            report(step, figures)

    fit(module, lambda step: course.loss(module, step), schedule, checkpoint, course.steps, after)
    best.restore(epochs)
    name = type(extractor).__name__.lower()
    return concept_model(module, name, codebook, training.concepts, training.grid)


def measured(
    model: ConceptModel, test: TokenSet, ranks: tuple[int, ...] = (1, 3, 5)
) -> tuple[Score, ...]:
    """How often the right concept is among the first so many; control: the most frequent ones.

    The control names the most frequent concepts of the test images for every image; where all are
    alike frequent, that is chance.
    """
    if not len(test):
        raise BadInput("measuring a concept model needs images to test it on; there are none.")
    rows = torch.arange(len(test)).split(AT_ONCE)
    logits = torch.cat([model.classify(test.batch(part)[0]).cpu() for part in rows])
    often = torch.bincount(test.labels).sort(descending=True).values
    found, n = [], len(test)
    for rank, among in top_shares(logits, test.labels, ranks).items():
        right, blind = int(among.sum()), int(often[:rank].sum())
        interval, control = wilson(right, n), wilson(blind, n)
        found.append(
            Score(f"top-{rank}", right / n, interval, n, True, blind / n, control, "share")
        )
    return tuple(found)


def check(
    codebook: Codebook, training: TokenSet, validation: TokenSet, epochs: int, batch: int
) -> None:
    """Refuse what cannot be trained, before anything is written."""
    if epochs < 1 or batch < 2 or len(training) < 2 or not len(validation):
        raise BadInput(
            "training a concept model needs an epoch, a batch of two or more, two images and one "
            f"to validate on; it got epochs={epochs}, batch={batch}, {len(training)} and "
            f"{len(validation)} images."
        )
    for part in (training, validation):
        if part.entries != len(codebook):
            raise BadInput(
                f"the tokens are numbers of {part.entries} entries; {codebook.name} has "
                f"{len(codebook)}. Give the codebook that the tokens were made with."
            )
    if (training.concepts, training.grid) != (validation.concepts, validation.grid):
        raise BadInput(
            "training and validation need the same concepts on the same grid; they have "
            f"{len(training.concepts)} on {training.grid} and {len(validation.concepts)} on "
            f"{validation.grid}. Take both from one split."
        )


class Best:
    """The weights of the best epoch so far, on disk where there is a place for them."""

    def __init__(self, module: nn.Module, path: Path | None = None):
        self.module, self.path, self.value, self.state = module, path, inf, {}
        if path and path.exists():
            with safe_open(path, "pt") as file:
                self.value = float(file.metadata()["value"])
                self.state = {name: file.get_tensor(name) for name in file.keys()}

    def offer(self, value: float) -> None:
        """Keep the weights as they are, if this is the lowest loss."""
        if not value < self.value:
            return
        self.value = value
        self.state = {n: v.detach().clone() for n, v in self.module.state_dict().items()}
        if self.path:
            keep(self.path, self.state, {"value": repr(value)})

    def restore(self, epochs: int) -> None:
        """Put the best weights back."""
        if not isfinite(self.value):
            raise Refused(
                f"the loss on the validation images was not finite after any of {epochs} epochs. "
                "Lower the learning rate."
            )
        self.module.load_state_dict(self.state)


def claim(folder: Path, **settings: object) -> None:
    """Write down whose folder it is; only a training of the same settings may go on in it."""
    path, mine = folder / "training.json", {name: repr(v) for name, v in settings.items()}
    if not path.exists():
        return note(path, mine)
    held = noted(path)
    other = [name for name, value in mine.items() if held.get(name) != value]
    if other:
        raise Refused(
            f"{folder} holds a training of another {' and '.join(other)}. Choose another folder, "
            "or remove it."
        )
    return None
