"""The one training loop: a schedule of rates; checkpoints; exact resume.

A recipe gives a function from the number of a step to its loss. Because everything random
in a step is drawn from that number, a run that was killed and resumed ends with the same
bits as one that was not. A checkpoint is one safetensors file with weights, buffers (such as
the running means of a batch norm) and moments.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from legenda.errors import Missing, Refused

Loss = Callable[[int], tuple[Tensor, dict[str, float]]]
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Schedule:
    """AdamW with linear warm-up, a plateau, and a linear decay to nothing.

    Parameters
    ----------
    steps: number of steps; more trains longer, and moves the decay back.
    lr: learning rate of the plateau.
    warmup: steps of linear warm-up.
    decay: last share of the steps, over which the rate falls to zero.
    weight_decay: pull of matrices towards zero; vectors are never decayed.
    clip: largest norm of the gradient.
    half: whether the forward pass runs in bfloat16.
    betas: memory of Adam's two moments; larger remembers longer.
    fused: whether Adam steps in one pass over the weights: much faster, in other last bits.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 200
    decay: float = 0.25
    weight_decay: float = 0.05
    clip: float = 1.0
    half: bool = False
    betas: tuple[float, float] = (0.9, 0.98)
    fused: bool = False

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        fall = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.lr * min(rise, fall, 1.0)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW, which decays matrices only."""
        held = list(parameters)
        groups = [
            {"params": [p for p in held if p.ndim > 1]},
            {"params": [p for p in held if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay,
            fused=self.fused or None,
        )  # fmt: skip


@dataclass(frozen=True)
class Staircase:
    """Adam whose rate goes down in equal stairs, and whose decay is part of the gradient.

    Parameters
    ----------
    steps: number of steps; more trains longer, on longer stairs.
    lr: learning rate of the first stair.
    weight_decay: pull of every weight towards zero, before Adam scales it; larger pulls more.
    stairs: number of stairs, all of the same length; more of them end at a lower rate.
    factor: rate of a stair over that of the stair before; smaller falls deeper.
    clip: largest norm of the gradient; infinity never clips.
    half: whether the forward pass runs in bfloat16.
    betas: memory of Adam's two moments; larger remembers longer.
    fused: whether Adam steps in one pass over the weights: much faster, in other last bits.
    """

    steps: int
    lr: float = 1e-3
    weight_decay: float = 1e-4
    stairs: int = 4
    factor: float = 0.1
    clip: float = inf
    half: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    fused: bool = False

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        rate = self.lr
        for _ in range(step * self.stairs // self.steps):
            rate *= self.factor
        return rate

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Adam, which decays all alike."""
        return torch.optim.Adam(
            list(parameters), lr=self.lr, betas=self.betas, weight_decay=self.weight_decay,
            fused=self.fused or None,
        )  # fmt: skip


Plan = Schedule | Staircase
Shape = Callable[[dict[str, Tensor]], None]


class Pupil:
    """A module in training: its optimiser, and the number of the next step.

    `about` is kept in each checkpoint; one that says otherwise is refused.
    """

    def __init__(self, module: nn.Module, plan: Plan, about: Mapping[str, str] | None = None):
        self.names, self.buffers = dict(module.named_parameters()), dict(module.named_buffers())
        self.plan, self.about, self.step = plan, dict(about or {}), 0
        self.optimizer = plan.optimizer(self.names.values())

    def descend(self, value: Tensor, shape: Shape | None = None) -> float:
        """One step down, and the norm of the gradient; `shape` may change gradients in place."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        found = torch.autograd.grad(value, list(self.names.values()), allow_unused=True)
        grads = {n: g for n, g in zip(self.names, found, strict=True) if g is not None}
        if shape:
            shape(grads)
        norm = nn.utils.get_total_norm(grads.values())
        for name, parameter in self.names.items():
            parameter.grad = grads.get(name)
        if not 1.000001 * float(norm) + 1e-6 < self.plan.clip:  # below, it would multiply by 1
            nn.utils.clip_grads_with_norm_(self.names.values(), self.plan.clip, norm)
        self.optimizer.step()
        self.step += 1
        return float(norm)

    def rest(self) -> None:
        """Leave no gradient."""
        self.optimizer.zero_grad()

    def save(self, path: Path) -> None:
        """Weights, buffers, moments and the step, whole or not at all."""
        tensors = {f"weight/{name}": p.detach() for name, p in self.names.items()}
        tensors |= {f"buffer/{name}": b for name, b in self.buffers.items()}
        for name, parameter in self.names.items():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{moment}/{name}"] = torch.as_tensor(value)
        about = {"step": str(self.step), "schedule": repr(self.plan), **self.about}
        keep(path, tensors, about)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        if not path.exists():
            return
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            self._checked(path, set(file.keys()), about)
            for name, buffer in self.buffers.items():
                if f"buffer/{name}" in file.keys():
                    buffer.copy_(file.get_tensor(f"buffer/{name}"))
            for name, parameter in self.names.items():
                parameter.data.copy_(file.get_tensor(f"weight/{name}"))
                own = (f"weight/{name}", f"buffer/{name}")
                moments = [k for k in file.keys() if k.endswith("/" + name) and k not in own]
                if moments:
                    self.optimizer.state[parameter] = {
                        k.removesuffix("/" + name): file.get_tensor(k) for k in moments
                    }
        self.step = min(int(about["step"]), self.plan.steps)

    def _checked(self, path: Path, keys: set[str], about: dict[str, str]) -> None:
        if {k for k in keys if k.startswith("weight/")} != {f"weight/{n}" for n in self.names}:
            raise Refused(
                f"{path} is a checkpoint of another model: its weights do not match. "
                "Choose another folder, or remove it."
            )
        for name, value in self.about.items():
            if about.get(name, value) != value:
                raise Refused(
                    f"{path} was begun with another {name}: {about[name]}, now it is {value}. "
                    "Choose another folder, or remove it."
                )


def fit(
    module: nn.Module,
    loss: Loss,
    schedule: Plan,
    checkpoint: Path | None = None,
    every: int = 500,
    report: Report | None = None,
) -> None:
    """Train `module` in place; resumes from `checkpoint` where it exists.

    `report(step, figures)` is called after each step, so that callers draw the progress.
    """
    pupil = Pupil(module, schedule)
    if checkpoint:
        pupil.load(checkpoint)
    half = torch.autocast("cpu", torch.bfloat16) if schedule.half else nullcontext()
    for step in range(pupil.step, schedule.steps):
        with half:
            value, figures = loss(step)
        norm = pupil.descend(value)
        if report:
            report(step, {"loss": float(value.detach()), "norm": norm, **figures})
        if checkpoint and (pupil.step % every == 0 or pupil.step == schedule.steps):
            pupil.save(checkpoint)
    pupil.rest()


def keep(path: Path, tensors: Mapping[str, Tensor], about: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all; a full disk leaves the old one as it was."""
    fresh = path.with_suffix(".writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in tensors.items()}, fresh, about)
        in_order(fresh)
        fresh.replace(path)
    except (OSError, SafetensorError) as problem:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Missing(
            f"{path} could not be written: {problem}. Make room there, or choose another folder."
        ) from problem


def in_order(path: Path) -> None:
    """Sort the header of a safetensors file: the same content is then the same file."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) <= length:  # never longer than what wrote it, or it is left alone
            file.seek(8)
            file.write(text.encode().ljust(length))
