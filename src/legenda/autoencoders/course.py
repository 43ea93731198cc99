"""A course: one autoencoder learns, step by step, and goes on where it was interrupted.

The pictures of a step are a pure function of its number, and so is everything random in it; a
training that was killed and resumed ends with the same bits as one that was not, its rival's too.
"""

from collections.abc import Callable
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import nn

from legenda.autoencoders.objective import WEIGHTS, Figures, Losses, Moment, Objective
from legenda.autoencoders.source import Batch, Source
from legenda.autoencoders.weights import initialise
from legenda.errors import BadInput, Refused
from legenda.train.loop import Plan, Pupil, Schedule
from legenda.types import Images

Report = Callable[[int, Figures], None]
"""Called after each step with its number and figures: the objective's, `loss`, `norm` and
`pictures_per_second`."""
NAME = "vae"
N = TypeVar("N", bound=nn.Module)


def plan_of(steps: int, lr: float = 1e-3) -> Schedule:
    """Adam as the papers have it, with a short warm-up and a last quarter that decays."""
    return Schedule(
        steps, lr, warmup=min(200, steps // 10), decay=0.25, weight_decay=0.0, clip=inf,
        betas=(0.9, 0.999), fused=True,
    )  # fmt: skip


def fit(
    network: N,
    objective: Objective,
    source: Source,
    plan: Plan,
    seed: int = 0,
    folder: Path | str | None = None,
    every: int = 500,
    report: Report | None = None,
    *,
    batch: int = 64,
    fresh: bool = True,
) -> N:
    """Train `network` in place, and return it; goes on from `folder/vae.training.safetensors`.

    Parameters
    ----------
    network: a module that encodes and decodes.
    objective: what is to be small.
    source: the pictures.
    plan: rates, and how many steps.
    seed: of the weights, of the order of the pictures and of everything drawn.
    folder: of the checkpoints; None keeps none.
    every: steps between checkpoints.
    report: told of each step.
    batch: pictures of a step; more make steps steadier and slower.
    fresh: draw the weights by the seed; False goes on from those that the network has.
    """
    asked(network, plan, batch, every)
    if fresh:
        initialise(network, seed, WEIGHTS)
    lesson = Lesson(network, objective, source, plan, seed, batch)
    if folder is not None:
        lesson.load(Path(folder))
    for step in range(lesson.pupil.step, plan.steps):
        start = perf_counter()
        figures = lesson.step(source.batch(step, batch, seed))
        if folder is not None and ((step + 1) % every == 0 or step + 1 == plan.steps):
            lesson.save(Path(folder))
        if report:
            report(step, {**figures, "pictures_per_second": batch / (perf_counter() - start)})
    lesson.rest()
    return network


class Lesson:
    """A network in training, and its rival where the objective has one."""

    def __init__(
        self, network: nn.Module, objective: Objective, source: Source, plan: Plan, seed: int,
        batch: int,
    ):  # fmt: skip
        self.network, self.objective, self.plan, self.seed = network, objective, plan, seed
        self.pictures = getattr(source, "count", None)
        about = {
            "objective": repr(objective), "seed": str(seed), "batch": str(batch),
            "pictures": str(getattr(source, "key", "")), "plan": repr(plan),
        }  # fmt: skip
        self.pupil, self.second = Pupil(network, plan, about), None
        self.rival = objective.begin(network, seed)
        if self.rival is not None:
            self.rival.to(device_of(network))
            own: Any = getattr(objective, "rival_plan", None)
            self.second = Pupil(self.rival, own(plan.steps) if own else plan, about)

    def step(self, batch: Batch) -> Figures:
        """One step down for each: both losses are taken before either moves."""
        number, place = self.pupil.step, device_of(self.network)
        x, y = batch if isinstance(batch, tuple) else (batch, None)
        x, y = checked(x, number).to(place), None if y is None else y.to(place)
        moment = Moment(number, self.plan.steps, self.seed, self.pictures)
        found: Losses = self.objective.loss(self.network, x, moment, y, self.rival)
        value = float(found.loss.detach())
        if value != value:
            raise BadInput(
                f"the autoencoder has no loss at step {number}: it is NaN. The last checkpoint is "
                "kept; begin again with a lower rate."
            )
        norm = self.pupil.descend(found.loss)
        figures = {**found.figures, "loss": value, "norm": norm}
        if self.second is not None and found.rival is not None:
            self.second.descend(found.rival)
            figures["rival"] = float(found.rival.detach())
        return figures

    def save(self, folder: Path) -> None:
        """The rival first, under the number of its step: a kill in between loses neither."""
        if self.second is not None:
            self.second.save(rival_path(folder, self.second.step))
        self.pupil.save(folder / f"{NAME}.training.safetensors")
        for old in folder.glob(rival_path(Path(), "*").name):
            if self.second is None or old != rival_path(folder, self.second.step):
                old.unlink()

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        path = folder / f"{NAME}.training.safetensors"
        self.pupil.load(path)
        if self.second is None or not path.exists():
            return
        there = rival_path(folder, self.pupil.step)
        if not there.exists():
            raise Refused(
                f"{path} goes on with {there.name}, which is not there. Choose another folder, or "
                "remove it."
            )
        self.second.load(there)

    def rest(self) -> None:
        """Leave no gradient."""
        self.pupil.rest()
        if self.second is not None:
            self.second.rest()


def rival_path(folder: Path, step: int | str) -> Path:
    """Where the rival of a step is kept."""
    return folder / f"{NAME}.rival.{step}.training.safetensors"


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are."""
    return next(network.parameters()).device


def asked(network: nn.Module, plan: Plan, batch: int, every: int) -> None:
    """Refuse a course that cannot begin."""
    if min(batch, every, plan.steps) < 1:
        raise BadInput(
            "a course needs a batch of a picture or more, a step or more, and a checkpoint every "
            f"so many steps; it got batch={batch}, steps={plan.steps}, every={every}. Change these."
        )
    if plan.half:
        raise BadInput("an autoencoder learns in float32; the plan says half=True. Leave it out.")
    if not any(p.requires_grad for p in network.parameters()):
        raise BadInput(
            f"a course needs weights that can be learned; {type(network).__name__} has none that "
            "require a gradient. Call requires_grad_() on it."
        )


def checked(x: Images, step: int) -> Images:
    """Pictures as they should be, or the step at which they are not."""
    low, high = (float(v) for v in x.aminmax())
    if not 0 <= low <= high <= 1:
        raise BadInput(
            f"pictures to learn from are colours from 0 to 1; at step {step} they go from {low:g} "
            f"to {high:g}. Divide bytes by 255."
        )
    return x
