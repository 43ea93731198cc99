"""A small study of everything a study does: sheets, words, silence, scores, failures, chunks."""

import resource
import signal
import time
from dataclasses import dataclass, field

import torch

from legenda.atlas.digest import content_digest
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.core.dictionary import Identity
from legenda.core.evidence import Attribution, Frames
from legenda.core.explanation import Description, Score
from legenda.core.units import Units
from legenda.errors import BadInput, LegendaError
from legenda.study import study
from legenda.tasks import run_keeper
from tests.toys import ToyVAE, pixels

UNITS = 24
BROKEN, SILENT = (5, 13), (2, 7, 8)
"""Units that cannot be drawn, and units of which nothing is said."""
LIMIT = 700_000
"""Bytes of a file on the disk that is full: the tables fit, the log of half of the study too."""


class WideVAE(ToyVAE):
    """The toy, with more latents."""

    name, ref = "wide-vae", "tests.study_world:WideVAE"

    def __init__(self, seed=0):
        super().__init__(seed)
        torch.manual_seed(seed)
        self.encoder, self.decoder = torch.nn.Linear(3 * 64, UNITS), torch.nn.Linear(UNITS, 3 * 64)


def units():
    return Units(WideVAE(), Identity(UNITS, "latents"))


@dataclass(frozen=True)
class Painted:
    """Frames of noise, one row for each unit; it takes `pause` seconds, and some are broken."""

    steps: int = 3
    broken: tuple[int, ...] = BROKEN
    pause: float = field(default=0.0, repr=False)

    def __call__(self, units, x, target):
        time.sleep(self.pause)
        if target.index in self.broken:
            raise BadInput(f"unit {target.index} is broken. Mend it.")
        lot = torch.Generator().manual_seed(target.index)
        return Frames(
            torch.rand(self.steps, 3, 8, 8, generator=lot), torch.arange(self.steps) + 0.0
        )


@dataclass(frozen=True)
class InChunks(Painted):
    """The same, several at once, and each a little brighter for every other that is with it."""

    def many(self, units, x, targets):
        found = [self(units, x, one) for one in targets]
        return [Frames(one.images * (1 - 0.5 / len(found)), one.values) for one in found]


@dataclass(frozen=True)
class InTurn(Painted):
    """The same, one after another."""

    def each(self, units, x, targets):
        for one in targets:
            yield self(units, x, one)


@dataclass(frozen=True)
class Failing(Painted):
    """Raises what it is given for some units, as long as it is there."""

    with_: dict = field(default_factory=dict, repr=False)

    def __call__(self, units, x, target):
        if target.index in self.with_:
            raise self.with_[target.index]
        return super().__call__(units, x, target)


@dataclass(frozen=True)
class Mapped:
    """A map for each input, which says how bright a quarter of it is."""

    def __call__(self, units, x, target):
        scores = torch.nn.functional.avg_pool2d(x.mean(1), 4).flatten(1) + target.index
        drawn = torch.ones_like(scores, dtype=torch.bool)
        figures = {"mean": x.mean((1, 2, 3)), "lost": torch.full((len(x),), torch.nan)}
        return Attribution(x, scores, drawn, (2, 2), "of white", figures)


@dataclass(frozen=True)
class Sure(Description):
    certainty: float = 0.5
    low: float = 0.25
    high: float = 0.75


@dataclass(frozen=True)
class Words:
    """Two candidates; of some units none."""

    silent: tuple[int, ...] = SILENT

    def __call__(self, evidence):
        mean = float(evidence.images.mean())
        tints = [round(float(evidence.images[:, c].mean()), 2) for c in range(3)]
        for unit in self.silent:
            lot = torch.Generator().manual_seed(unit)
            if torch.rand(1, 3, 8, 8, generator=lot).flatten()[0] == evidence.images.flatten()[0]:
                return (Sure("", "words", "its answers disagree", 0.125),)
        return (
            Sure(f"a mean of {mean:.3f}", "words", None, 0.75),
            Description(f"{tints}", "words"),
        )


@dataclass(frozen=True)
class Mean:
    """A score beside its control."""

    def __call__(self, units, x, target, explanation):
        value = float(explanation.evidence.images.double().mean())
        return Score("mean", value, (0.0, 1.0), 8, True, 0.5, (0.25, 0.75))


def run(folder, explain=None, pause=0.0, **options):
    """The study, to its end; what was done."""
    with Atlas(folder, write=True) as atlas:
        seen = units()
        explain = explain or Painted(pause=pause)
        targets = [seen[i] for i in range(UNITS)]
        return list(study(seen, pixels(2), targets, explain, [Words()], [Mean()], atlas, **options))


def one_study(folder):
    """What is killed: a study that writes often."""
    run_keeper.HOLD = 0.03
    run(folder, pause=0.01)


def full_study(folder):
    """The same on a disk on which no file may grow beyond so many bytes; what was said of it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    try:
        one_study(folder)
    except LegendaError as problem:
        (folder / "said.txt").write_text(str(problem))


def digest(folder):
    with Atlas(folder) as atlas:
        return content_digest(atlas)


def twice(folder):
    """How many explanations there are beyond one for each target that can be done."""
    with Atlas(folder) as atlas:
        found = atlas.all("SELECT unit, count(*) AS n FROM explanations GROUP BY unit")
    return sum(row["n"] - 1 for row in found) + max(0, len(found) - UNITS)


def sound(folder):
    """Whether an atlas has no damage; what a kill leaves beside it is litter."""
    with Atlas(folder) as atlas:
        return not [one for one in verify(atlas) if one.damage]
