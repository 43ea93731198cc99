"""Matching pursuit against BatchTopK on a planted tree, for the row `hierarchy`.

Each row of activations has exactly one root: one of three parents (chance .2 each) or of eight
rare ones (.05 each). A parent brings at most one of its three children (.2 each, none with .4).
A unit that is on weighs 1.5 + .25 N(0, 1), and the row is the sum of what is on, in 20 dimensions.
Roots are alike with cosine ρ, and so are siblings; otherwise atoms are orthogonal.

References
----------
Costa, Fel, Lubana, Tolooshams, Ba. From flat to hierarchical: extracting sparse representations
with matching pursuit. NeurIPS 2025. The tree.
Bussmann, Leask, Nanda. Learning multi-level features with Matryoshka sparse autoencoders. ICML
2025. Trees of units as a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.table import Measurement, Row, show
from legenda.core.interval import bootstrap
from legenda.dictionaries.autoencoder import (
    Rows,
    Slots,
    SparseAutoencoder,
    tangent,
    unit_length,
)
from legenda.dictionaries.batch_top_k import BatchTopK, calibrate
from legenda.dictionaries.course import fit
from legenda.dictionaries.matching_pursuit import MatchingPursuit
from legenda.dictionaries.selection import strongest_of_all
from legenda.dictionaries.sparse_gradient import error
from legenda.train.loop import Schedule

PARENTS, CHILDREN, RARE = 3, 3, 8
FAMILIES = PARENTS * CHILDREN
WIDTH = PARENTS + FAMILIES + RARE
ROOTS = [*range(PARENTS), *range(WIDTH - RARE, WIDTH)]
"""Units by number: the parents, their children (family by family), the rare roots."""
JUDGED, CALIBRATED = 501, 502
"""Seeds of rows that no run learns from."""


@dataclass(frozen=True)
class Tree:
    """Activations of the tree; `alike` is ρ, `batch` makes it a `RowSource`."""

    seed: int
    alike: float = 0.1
    width: int = WIDTH
    count: int = 1_000_000_000
    key: str = "tree"

    @property
    def atoms(self) -> Float[Tensor, "k d"]:
        """Orthogonal directions, turned towards each other within the roots and within siblings."""
        lot = torch.Generator().manual_seed(self.seed)
        atoms = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=lot))[0]
        families = [[PARENTS + f * CHILDREN + c for c in range(CHILDREN)] for f in range(PARENTS)]
        for group in (ROOTS, *families):
            atoms[group] = turned(len(group), self.alike) @ atoms[group]
        return atoms

    def codes(self, size: int, seed: int) -> Float[Tensor, "r k"]:
        """Which units are on, and how strongly."""
        lot = torch.Generator().manual_seed(seed)
        codes, row = torch.zeros(size, WIDTH), torch.arange(size)
        chances = torch.tensor([0.2] * PARENTS + [0.05] * RARE)
        root = torch.multinomial(chances, size, replacement=True, generator=lot)
        child = torch.multinomial(
            torch.tensor([0.2] * CHILDREN + [0.4]), size, replacement=True, generator=lot
        )
        codes[row, torch.tensor(ROOTS)[root]] = 1.0
        bears = (root < PARENTS) & (child < CHILDREN)
        codes[row[bears], (PARENTS + root * CHILDREN + child)[bears]] = 1.0
        return codes * (1.5 + 0.25 * torch.randn(codes.shape, generator=lot))

    def batch(self, step: int, size: int, seed: int) -> Float[Tensor, "r d"]:
        """The rows of one step."""
        return self.codes(size, (self.seed * 1000 + seed) * 1_000_000 + step) @ self.atoms


def turned(size: int, cosine: float) -> Float[Tensor, "k k"]:
    """The symmetric root of a matrix with ones on its diagonal and this cosine elsewhere."""
    near = (1 - cosine) ** 0.5
    return near * torch.eye(size) + ((1 + (size - 1) * cosine) ** 0.5 - near) / size


ON = 1.36
"""How many units of the tree are on at a row, on average: a root, and a child with .6 * .6."""


@dataclass(frozen=True)
class FallingBatchTopK:
    """BatchTopK with 3 units on at a row in the first steps, then with as many as the tree has."""

    units: int
    first: float = 3.0
    then: float = ON
    until: float = 1 / 15

    def begin(self, rows: Rows, seed: int) -> SparseAutoencoder:
        module = BatchTopK(self.units, revive=None).begin(rows, seed)
        module.learner = self
        return module

    def loss(
        self, module: SparseAutoencoder, rows: Rows, step: int, steps: int
    ) -> tuple[Tensor, dict[str, float]]:
        k = self.first if step < self.until * steps else self.then
        e, c = module.encoder.detach(), module.offset.detach()
        on = strongest_of_all(rows - module.bias.detach(), e, c, round(k * len(rows)))
        return error(module, rows, on)[0], {}

    def slots(self, module: SparseAutoencoder, rows: Rows) -> Slots:
        return BatchTopK(self.units).slots(module, rows)

    shape, settle = staticmethod(tangent), staticmethod(unit_length)


@dataclass(frozen=True)
class Outcome:
    """How one dictionary did on rows that it has not seen."""

    child: float
    parent: float
    rare: float
    mse: float
    on: float


def outcome(module: SparseAutoencoder, tree: Tree, rows: Rows) -> Outcome:
    """Mean cosines of planted atoms with their own learned ones, matched one to one; and errors."""
    cosines = module.atoms @ tree.atoms.T
    found, planted = linear_sum_assignment(-cosines.numpy())
    own = torch.empty(WIDTH)
    own[torch.from_numpy(planted)] = cosines[found, planted]
    codes = module.encode(rows[None])
    mse = float((module.decode(codes)[0] - rows).square().mean())
    parent, child, rare = (float(part.mean()) for part in own.split([PARENTS, FAMILIES, RARE]))
    return Outcome(child, parent, rare, mse, float((codes.weight > 0).sum() / len(rows)))


def both(seed: int, steps: int, alike: float) -> tuple[Outcome, Outcome]:
    """Matching pursuit and BatchTopK from the same rows, on the same rows."""
    tree = Tree(seed, alike)
    plan = Schedule(
        steps, lr=3e-2, warmup=100, decay=0.2, weight_decay=0.0, betas=(0.5, 0.9375)
    )  # fmt: skip
    learners = {"mp": MatchingPursuit(WIDTH, 3, 0.03), "batch-top-k": FallingBatchTopK(WIDTH)}
    found = fit(learners, tree, plan, batch=200, seed=seed)
    calibrate(found["batch-top-k"], tree.batch(0, 5000, CALIBRATED), ON)
    rows = tree.batch(0, 5000, JUDGED)
    return outcome(found["mp"], tree, rows), outcome(found["batch-top-k"], tree, rows)


def compare_matching_pursuit(
    seeds: Sequence[int] = (0, 1, 2), steps: int = 3000, alike: float = 0.1
) -> list[Row]:
    """Rows for `hierarchy`: all seeds together, then seed by seed; the control is BatchTopK."""
    runs = [both(seed, steps, alike) for seed in seeds]
    mp, other = ([run[side] for run in runs] for side in (0, 1))
    rows = [cosine_row(mp, other), error_row(mp, other)]
    for name in ("parent", "rare", "on"):
        label = "units on at a row" if name == "on" else f"mean cosine of the {name} atoms"
        rows.append(pooled(f"MP on a tree: {label}", name, mp, other))
    for seed, (one, two) in zip(seeds, runs, strict=True):
        rows.append(Row(f"seed {seed}: MP, child cosine", one.child, control=two.child))
        rows.append(Row(f"seed {seed}: MP, mse", one.mse, control=two.mse))
    return rows


def pooled(label: str, name: str, mp: list[Outcome], other: list[Outcome]) -> Row:
    """The mean over seeds of one figure."""
    values, control = (torch.tensor([getattr(o, name) for o in side]) for side in (mp, other))
    mean = float(values.mean())
    return Row(label, mean, n=len(mp), interval=bootstrap(values), control=float(control.mean()))


def cosine_row(mp: list[Outcome], other: list[Outcome]) -> Row:
    """Whether children are found, and better so."""
    row = pooled("MP on a tree: mean cosine of the children", "child", mp, other)
    ok = row.value >= 0.9 and row.value > (row.control or 0.0) + 0.1
    return replace(row, goal="≥.90, and .1 above BatchTopK", ok=ok)


def error_row(mp: list[Outcome], other: list[Outcome]) -> Row:
    """Whether less is left."""
    row = pooled("MP on a tree: mean squared error", "mse", mp, other)
    return replace(row, goal="below a third of BatchTopK's", ok=row.value < (row.control or 0) / 3)


def main() -> None:
    """`python -m benchmarks.truths.matching_pursuit`: the comparison alone."""
    show(Measurement("matching-pursuit", compare_matching_pursuit(), [0, 1, 2]))


if __name__ == "__main__":
    main()
