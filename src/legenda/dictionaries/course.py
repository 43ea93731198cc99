"""A course: any number of dictionaries learn from the same rows, one batch per step for all.

Each has its own optimiser, clip and checkpoint, and ends with the same bits whoever learns beside
it. Rows of a step are a pure function of its number, so that a course that was killed and resumed
ends with the same bits, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from torch import Tensor

from legenda.corpus.rows import ArrayRows, RowSource
from legenda.dictionaries.autoencoder import Learner, Rows, SparseAutoencoder
from legenda.errors import BadInput
from legenda.train.loop import Plan, Pupil, Schedule

Figures = dict[str, float]
Report = Callable[[int, dict[str, Figures | float]], None]
"""Called after each step with its number, the figures of each dictionary by its name, and
`rows_per_second`, how many rows each of them sees."""

PLAN = Schedule(steps=10_000, lr=1e-3, warmup=200, weight_decay=0.0, betas=(0.9, 0.999), fused=True)
"""What `learn` follows unless told otherwise, with steps of its own."""


class Lesson:
    """One dictionary in a course."""

    def __init__(
        self, name: str, learner: Learner, sample: Rows, plan: Plan, about: dict[str, str]
    ):
        self.name, self.learner = name, learner
        self.module = learner.begin(sample, int(about["seed"]))
        self.module.name = name
        about = {"learner": repr(learner), **about, "plan": repr(plan)}
        self.pupil = Pupil(self.module, plan, about)

    def step(self, rows: Rows, steps: int) -> Figures:
        """One step down, with the constraints of the paper."""
        shape = getattr(self.learner, "shape", None)
        settle = getattr(self.learner, "settle", None)
        number = self.pupil.step
        loss, figures = self.learner.loss(self.module, rows, number, steps)
        value = float(loss.detach())
        if value != value:
            raise BadInput(
                f"{self.name} has no loss at step {number}: it is NaN. The last checkpoint is "
                "kept; begin again with a lower rate, or a smaller clip."
            )
        norm = self.pupil.descend(loss, shape and (lambda grads: shape(self.module, grads)))
        if settle:
            settle(self.module)
        return {**figures, "loss": value, "norm": norm}


def fit(
    learners: Mapping[str, Learner],
    rows: RowSource,
    plan: Plan,
    *,
    batch: int,
    seed: int,
    folder: Path | str | None = None,
    every: int = 500,
    report: Report | None = None,
) -> dict[str, SparseAutoencoder]:
    """All dictionaries after the last step; goes on from `folder/NAME.training.safetensors`."""
    asked(learners, plan, batch, every)
    units = max(learner.units for learner in learners.values())
    sample = checked(rows.batch(0, max(1, min(rows.count, max(batch, units))), seed), -1)
    about = {"seed": str(seed), "batch": str(batch), "rows": rows.key if folder else ""}
    lessons = [Lesson(name, held, sample, plan, about) for name, held in learners.items()]
    paths = {name: Path(folder or "") / f"{name}.training.safetensors" for name in learners}
    for lesson in lessons if folder else ():
        lesson.pupil.load(paths[lesson.name])
    for step in range(min(lesson.pupil.step for lesson in lessons), plan.steps):
        start = perf_counter()
        part = checked(rows.batch(step, batch, seed), step)
        due = [lesson for lesson in lessons if lesson.pupil.step == step]
        told: dict[str, Figures | float] = {each.name: each.step(part, plan.steps) for each in due}
        for lesson in due if folder else ():
            if (step + 1) % every == 0 or step + 1 == plan.steps:
                lesson.pupil.save(paths[lesson.name])
        if report:
            report(step, {**told, "rows_per_second": len(part) / (perf_counter() - start)})
    for lesson in lessons:
        lesson.pupil.rest()
    return {lesson.name: lesson.module for lesson in lessons}


def learn(
    learner: Learner,
    rows: Tensor,
    steps: int = 2000,
    batch: int = 1024,
    seed: int = 0,
    plan: Plan | None = None,
) -> SparseAutoencoder:
    """One dictionary of rows (r d) that are at hand.

    Examples
    --------
    >>> import torch
    >>> from legenda.dictionaries.top_k import TopK
    >>> rows = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    >>> len(learn(TopK(16, k=2), rows, steps=10, batch=100))
    16
    """
    plan = plan or replace(PLAN, steps=steps, warmup=min(PLAN.warmup, steps // 10))
    return fit({"sae": learner}, ArrayRows(rows), plan, batch=batch, seed=seed)["sae"]


def asked(learners: Mapping[str, Learner], plan: Plan, batch: int, every: int) -> None:
    """Refuse a course that cannot begin."""
    if not learners:
        raise BadInput(
            "a course needs a learner or more; it got none. Name one, such as TopK(256)."
        )
    bad = [n for n in learners if not n or Path(n).name != n or n in (".", "..", "rows_per_second")]
    if bad:
        raise BadInput(
            f"a dictionary's name is the name of its file; {bad[0]!r} is none. Choose another."
        )
    if min(batch, every, plan.steps) < 1:
        raise BadInput(
            f"a course needs a batch of a row or more, a step or more, and a checkpoint every so "
            f"many steps; it got batch={batch}, steps={plan.steps}, every={every}. Change these."
        )
    if plan.half:
        raise BadInput(
            "a dictionary learns in float32; the plan says half=True. Leave it out: learners have "
            "a `half` of their own, which is as fast and changes no result."
        )


def checked(rows: Rows, step: int) -> Rows:
    """Rows that are finite, or the step at which they are not."""
    if rows.sum().isfinite() or rows.isfinite().all():
        return rows
    bad = int((~rows.isfinite()).any(1).sum())
    where = f"at step {step}" if step >= 0 else "to begin from"
    raise BadInput(
        f"{bad} of {len(rows)} rows {where} hold NaN or infinity. The last checkpoint is kept; "
        "check the model and its pictures, then go on."
    )
