"""What only several systems together can say, of the models that ship, in one atlas.

behind      concepts behind the maps of drawn scenes               zoo:scenes
nats        tokens by nats and by slopes                           zoo:vq
together    tokens that are found together                         zoo:vq
moved       tokens, and concepts of their space, moved             zoo:vq
names       one rule of silence for tokens, concepts and latents   all three
faithful    one table of faithfulness                              all three
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from legenda.atlas.store import Atlas
from legenda.core.units import Units
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.union_behind_atlas import gather_behind
from legenda.tasks.union_faithful_atlas import gather_faithful
from legenda.tasks.union_moved import CONCEPTS, TOKENS, Recipe, gather_moved
from legenda.tasks.union_names import gather_names
from legenda.tasks.union_nats_atlas import gather_nats
from legenda.tasks.union_place import Report
from legenda.tasks.union_scenes import told_scenes
from legenda.tasks.union_together import gather_together
from legenda.types import Images, Tokens

WHAT = ("behind", "nats", "together", "moved", "names", "faithful")
SCENES = "zoo:scenes"


class Amount(NamedTuple):
    """How much is asked of each.

    Parameters
    ----------
    scenes, seeds: whose maps are looked behind, and fits of each map.
    close_ups: pictures whose tokens are weighed and paired.
    draws: noise by which slopes are taken.
    moved: tokens, the most frequent, that are moved; and units of a dictionary of their space.
    fitted: steps that this dictionary is fitted for.
    named: tokens that are named, the most important, by so many `crops` each.
    words: of everyday, beside those of drawn scenes, that a concept may be called by.
    trials: pictures of each system whose maps are cheap; and of M2IB, whose maps are fitted.
    """

    scenes: int
    seeds: tuple[int, ...]
    close_ups: int
    draws: int
    moved: tuple[int, int]
    fitted: int
    named: int
    crops: int
    words: int
    trials: tuple[int, int]


LITTLE = Amount(12, (0,), 240, 4, (16, 16), 150, 96, 8, 500, (48, 12))
"""A minute each, or less."""
WHOLE = Amount(48, (0, 1, 2), 1200, 20, (96, 32), 1000, 512, 16, 5000, (192, 48))


def union_zoo(
    atlas: Atlas, what: Sequence[str] = WHAT, amount: Amount = WHOLE, *, seed: int = 0,
    device: str = "cpu", report: Report = lambda *_: None,
) -> dict[str, list[int]]:  # fmt: skip
    """Ask the shipped models, all of it or some; the numbers of the studies."""
    zoo = Zoo(atlas, amount, seed, device, report)
    ways: dict[str, Callable[[], list[int]]] = {
        "behind": zoo.behind, "nats": zoo.nats, "together": zoo.together, "moved": zoo.moved,
        "names": zoo.names, "faithful": zoo.faithful,
    }  # fmt: skip
    return {name: make() for name, make in ways.items() if name in what}


class Zoo:
    """The shipped models, each opened when it is first asked."""

    def __init__(self, atlas: Atlas, amount: Amount, seed: int, device: str, report: Report):
        self.atlas, self.amount, self.seed, self.device = atlas, amount, seed, device
        self.report = report

    @cached_property
    def reader(self) -> Any:
        """The concepts of drawn scenes."""
        from legenda.tasks.reading import Reader

        return Reader.of(SCENES, self.device)

    @cached_property
    def vq(self) -> Any:
        """The model of tokens."""
        from legenda.models.opening import open_model

        return open_model("zoo:vq", device=self.device)

    @cached_property
    def concepts(self) -> Any:
        """The concept model that pays for tokens."""
        from legenda.zoo.vq.shipped import concept_model

        return concept_model(self.vq, "bottleneck")

    @cached_property
    def close_ups(self) -> tuple[Images, list[str]]:
        """Close-ups of drawn things, with what each shows."""
        from legenda.zoo.vq.data import CONCEPTS as SHOWN
        from legenda.zoo.vq.data import close_ups

        drawn = close_ups("test", self.amount.close_ups)
        return drawn.pixels().to(self.vq.device), [SHOWN[i] for i in drawn.labels.tolist()]

    @cached_property
    def tokens(self) -> Tokens:
        """The same as tokens."""
        return self.vq.tokens(self.close_ups[0])

    def behind(self) -> list[int]:
        """Concepts behind maps."""
        told = told_scenes(self.amount.scenes, set(self.reader.words.values()))
        return [gather_behind(
            self.atlas, SCENES, [t.shown for t in told], [t.sentence for t in told],
            also=[t.true for t in told], seeds=self.amount.seeds, seed=self.seed,
            device=self.device, report=self.report,
        )]  # fmt: skip

    def nats(self) -> list[int]:
        """Nats of tokens beside slopes."""
        return [gather_nats(
            self.atlas, self.vq, self.concepts, self.tokens, self.close_ups[1],
            draws=self.amount.draws, seed=self.seed, device=self.device, report=self.report,
        )]  # fmt: skip

    def together(self) -> list[int]:
        """Tokens that are found together."""
        return [gather_together(
            self.atlas, self.vq, self.tokens, seed=self.seed, device=self.device, report=self.report
        )]  # fmt: skip

    def moved(self) -> list[int]:
        """Tokens, and concepts of the space they lie in, moved through the decoder."""
        x, (some, units) = self.close_ups[0][:96], self.amount.moved
        often = self.tokens.flatten().bincount(minlength=len(self.vq.codebook))
        tokens = sorted(often.argsort(descending=True, stable=True)[:some].tolist())
        move = partial(gather_moved, self.atlas, x=x, device=self.device, report=self.report)
        recipe = {"topk": units, "steps": self.amount.fitted, "seed": self.seed, "of": len(self.tokens)}  # fmt: skip # noqa: E501
        return [
            move(Units(self.vq, self.vq.codebook), only=tokens, settings=seeded(TOKENS, self.seed)),
            move(Recipe(self.vq, self.learned, recipe), settings=seeded(CONCEPTS, self.seed)),
        ]

    def learned(self) -> Any:
        """A sparse dictionary of the space that tokens lie in."""
        from legenda.corpus.rows import ArrayRows
        from legenda.dictionaries.course import fit
        from legenda.dictionaries.top_k import TopK
        from legenda.train.loop import Schedule

        steps, units = self.amount.fitted, self.amount.moved[1]
        self.report("fitting concepts", 0, steps)
        rows = ArrayRows(self.vq.embed(self.tokens[:96]).flatten(0, 1).cpu())
        plan = Schedule(steps, lr=2e-3, warmup=min(50, steps // 3))
        learner = TopK(units, min(4, units))
        return fit({"topk": learner}, rows, plan, batch=1024, seed=self.seed)["topk"]

    def names(self) -> list[int]:
        """One rule of silence."""
        from legenda.tasks.union_zoo_names import identity_of, kinds_of

        return [gather_names(
            self.atlas, partial(kinds_of, self), identity=identity_of(self), seed=self.seed,
            device=self.device,
        )]  # fmt: skip

    def faithful(self) -> list[int]:
        """One table of faithfulness."""
        from legenda.tasks.union_zoo_trials import identity_of, trials_of

        return [gather_faithful(
            self.atlas, trials_of(self), identity_of(self), seed=self.seed, device=self.device,
            report=self.report,
        )]  # fmt: skip


def seeded(how: LatentSettings, seed: int) -> LatentSettings:
    """The same settings with another seed."""
    return replace(how, seed=seed)
