"""Activations with known atoms, and how well a dictionary finds them again."""

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment

from legenda.dictionaries.course import fit
from legenda.train.loop import Schedule

FAR = 70_000_000
"""Atoms are planted by seeds that no dictionary begins from: it would begin with the answer."""


@dataclass(frozen=True)
class Planted:
    """Rows Σ_i z_i d_i + centre (and a little noise), of which each z_i is on by itself.

    Calling it draws rows; it has the form of a `RowSource`, too.
    """

    width: int = 32
    units: int = 24
    active: float = 3.0
    noise: float = 0.01
    size: float = 1.0
    seed: int = 0
    count: int = 1_000_000_000
    key: str = "planted"

    @property
    def atoms(self):
        lot = torch.Generator().manual_seed(FAR + self.seed)
        return torch.nn.functional.normalize(
            torch.randn(self.units, self.width, generator=lot), dim=1
        )

    @property
    def centre(self):
        lot = torch.Generator().manual_seed(2 * FAR + self.seed)
        return 0.5 * torch.randn(self.width, generator=lot)

    def codes(self, count, seed):
        lot = torch.Generator().manual_seed(1000 * self.seed + seed)
        on = torch.rand(count, self.units, generator=lot) < self.active / self.units
        return on * (1.0 + 0.25 * torch.randn(count, self.units, generator=lot)).clamp(min=0.3)

    def __call__(self, count, seed):
        lot = torch.Generator().manual_seed(77 + 1000 * self.seed + seed)
        noise = self.noise * torch.randn(count, self.width, generator=lot)
        return self.size * (self.codes(count, seed) @ self.atoms + self.centre + noise)

    def batch(self, step, size, seed):
        return self(size, 1_000_000 * (seed + 1) + step)


def taught(learner, rows, steps=200, size=200, lr=1e-2, seed=0):
    """A dictionary after so many steps of the one course."""
    plan = Schedule(steps, lr, warmup=20, decay=1 / 3, weight_decay=0.0, betas=(0.9, 0.99))
    return fit({"sae": learner}, rows, plan, batch=size, seed=seed)["sae"]


@torch.no_grad()
def slow_readings(module, x):
    """a of one row, number by number."""
    return [
        float(e @ (x - module.bias) + c) for e, c in zip(module.encoder, module.offset, strict=True)
    ]


@torch.no_grad()
def slow_error(module, x, codes):
    """‖x - x̂‖² of one row."""
    made = module.bias.clone()
    for z, atom in zip(codes, module.atoms, strict=True):
        made += z * atom
    return float((x - made).square().sum())


def alike(found, wanted):
    """All cosines, found by wanted."""
    found, wanted = (torch.nn.functional.normalize(a, dim=1) for a in (found, wanted))
    return found @ wanted.T


def recovered(found, wanted):
    """Mean over the planted atoms of the best cosine with a learned one."""
    return float(alike(found, wanted).amax(0).mean())


def matched(found, wanted):
    """Cosine of each planted atom with the one atom that is its own, by the Hungarian method."""
    cosines = alike(found, wanted)
    rows, columns = linear_sum_assignment(-cosines.numpy())
    order = torch.empty(cosines.shape[1], dtype=torch.long)
    order[torch.from_numpy(columns)] = torch.from_numpy(rows)
    return cosines[order, torch.arange(cosines.shape[1])]


def fvu(module, rows):
    """Fraction of variance that is not explained, as the dictionary is used once learned."""
    rest = rows - rebuilt(module, rows)
    return float(rest.square().sum() / (rows - rows.mean(0)).square().sum())


def rebuilt(module, rows):
    return module.decode(module.encode(rows[None]))[0]


def dense(module, rows):
    return module.encode(rows[None]).dense()[0]


def dead(module, rows):
    """Share of the units that are on at none of these rows."""
    return float((dense(module, rows) > 0).any(0).logical_not().float().mean())


def check_learner(learner, width=16):
    """What holds of every learner, whatever its paper."""
    rows = Planted(width=width)
    first, again = (learner.begin(rows(600, 1), 3) for _ in range(2))
    state = first.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    other = learner.begin(rows(600, 1), 4)
    assert not torch.equal(first.atoms, other.atoms), "the seed decides where it begins"
    assert eval(repr(learner), {type(learner).__name__: type(learner)}) == learner

    loss, figures = learner.loss(first, rows(40, 2), 5, 10)
    assert loss.shape == () and loss.isfinite() and {"fvu"} <= set(figures)
    assert torch.equal(loss, learner.loss(again, rows(40, 2), 5, 10)[0]), "a step repeats itself"

    module = taught(learner, rows, 30)
    assert all(value.isfinite().all() for value in module.state_dict().values())
    codes = module.encode(rows(50, 3).view(5, 10, width))
    assert codes.size == learner.units and (codes.weight >= 0).all()
    assert 0 <= int(codes.index.min()) and int(codes.index.max()) < learner.units
    assert (codes.index.sort(dim=2).values.diff(dim=2) > 0).all(), "one slot for each unit"
    one = module.encode(rows(50, 3).view(5, 10, width)[3:4, 2:5])
    torch.testing.assert_close(codes.dense()[3:4, 2:5], one.dense())
    assert learner.slots(module, rows(50, 3)[:0])[0].shape[0] == 0


@dataclass(frozen=True)
class Family:
    """Three parents, one of them on at each row, and with it at most one of its two children.

    Parents are alike, and so are siblings, with this cosine.
    """

    alike: float = 0.1
    width: int = 12
    seed: int = 0
    count: int = 1_000_000_000
    key: str = "family"

    @property
    def atoms(self):
        lot = torch.Generator().manual_seed(FAR + self.seed)
        atoms = torch.linalg.qr(torch.randn(self.width, self.width, generator=lot))[0][:9]
        for group in ([0, 1, 2], [3, 4], [5, 6], [7, 8]):
            gram = (1 - self.alike) * torch.eye(len(group)) + self.alike
            atoms[group] = torch.linalg.cholesky(gram) @ atoms[group]
        return atoms

    def __call__(self, count, seed):
        lot = torch.Generator().manual_seed(1000 * self.seed + seed)
        parent = torch.randint(3, (count,), generator=lot)
        child = torch.randint(3, (count,), generator=lot)  # 2: none
        codes, row = torch.zeros(count, 9), torch.arange(count)
        codes[row, parent] = 1.0
        born = child < 2
        codes[row[born], (3 + 2 * parent + child)[born]] = 1.0
        return (codes * (1.5 + 0.25 * torch.randn(count, 9, generator=lot))) @ self.atoms

    def batch(self, step, size, seed):
        return self(size, 1_000_000 * (seed + 1) + step)
