"""Units whose factors are known: what the encoder says of them, and what our answers say of them.

Two kinds of model: small VAEs of our own on drawn sprites (`small_vaes`), and the published ones of
dSprites, to which our grey sprites are shown, black and white, at 64 px. Pictures that are measured
here were drawn with a seed of their own; no model learned from them.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.truths import small_vaes
from benchmarks.truths.scene_world import SceneWorld, seen
from legenda.core.answer import Answer
from legenda.core.dictionary import Identity
from legenda.core.latent import activity
from legenda.core.units import Units
from legenda.models.opening import open_model
from legenda.score.answer_agreement import FactAgreement, NgramAgreement
from legenda.score.certainty import certainty
from legenda.score.clear_factor import ClearFactor, Clearness
from legenda.score.factor_information import FactorInformation, Information
from legenda.tasks.latent_story import INACTIVE, NAMED, Study, UnitStory
from legenda.tasks.latents import study
from legenda.zoo.sprites.world import GREY, World

PICTURES, SEED = 5_000, 99
SIGNED = {"x": ("x",), "y": ("y",), "size": ("size",), "background": ("background", "brightness")}
"""Factors whose attributes grow with them, so that a direction is right or wrong."""


@dataclass(frozen=True)
class Known:
    """A model whose factors are known.

    Parameters
    ----------
    name, world: of the model, and of what it learned.
    study: what was said of its units.
    clear: the rule's verdicts, from encoder and factors alone.
    information: what codes say of factors.
    codes: posterior means of the pictures.
    factors: levels of the factors of these pictures.
    """

    name: str
    world: World | SceneWorld
    study: Study
    clear: Clearness
    information: Information = field(repr=False)
    codes: Tensor = field(repr=False)
    factors: Any = field(repr=False)


@dataclass(frozen=True)
class Judged:
    """One unit of one model, with the truth about it."""

    model: str
    story: UnitStory
    active: bool
    clear: bool
    factor: str
    right: bool | None

    @property
    def certainty(self) -> float:
        """0 for a unit that was not moved."""
        return self.story.certainty

    def by(self, agreement: Any) -> float:
        """The certainty that another agreement gives."""
        answers = self.story.answers
        return certainty(agreement(answers)).value if len(answers) > 1 else 0.0


RIVALS: dict[str, Callable[[Judged], float]] = {
    "n-gram certainty, as published": lambda u: u.by(NgramAgreement()),
    "certainty by facts": lambda u: u.by(FactAgreement()),
    "nats of the unit": lambda u: u.story.nats or 0.0,
    "change of colours": lambda u: u.story.effect,
}


def small(which: Sequence[small_vaes.Small]) -> list[Known]:
    """Our own models; those that are not there yet are trained first."""
    paths = small_vaes.trained(which)
    return [
        known(one.name, path, small_vaes.world_of(one), small_vaes.SIDE)
        for one, path in zip(which, paths, strict=True)
    ]


def published() -> list[Known]:
    """The published models of dSprites, where LEGENDA_WEIGHTS holds them."""
    where = Path(os.environ.get("LEGENDA_WEIGHTS", "")) / "disentangling-vae"
    found = (
        sorted(where.glob("*_dsprites.safetensors")) if os.environ.get("LEGENDA_WEIGHTS") else []
    )
    return [known(path.stem, path, GREY, 64, sharp=True) for path in found]


@torch.no_grad()
def known(
    name: str, path: Path, world: World | SceneWorld, side: int, sharp: bool = False
) -> Known:
    """What is known of one model; the study sees no factor."""
    vae: Any = open_model(str(path))
    shown = seen(world, PICTURES, SEED, side)
    x = shown.pixels()
    x = (x > 0.5).float() if sharp else x
    found = [vae.posterior(part) for part in x.split(256)]
    codes = torch.cat([one.mean for one in found])[:, 0]
    nats = activity(torch.cat([one.nats() for one in found]))
    said = FactorInformation()(codes, shown.factors, world.factors)
    clear = ClearFactor()(said, nats)  # before anything is asked
    return Known(
        name, world, study(Units(vae, Identity(vae.width, "latents"))), clear, said, codes,
        shown.factors,
    )  # fmt: skip


def units(models: Sequence[Known]) -> list[Judged]:
    """All units of some models."""
    return [
        Judged(
            model.name, story, bool(model.clear.active[i]), bool(model.clear.clear[i]),
            model.clear.factor[i], right(model, story, i),
        )
        for model in models
        for i, story in enumerate(model.study.units)
    ]  # fmt: skip


def right(model: Known, story: UnitStory, unit: int) -> bool | None:
    """Whether a named unit was named after its factor, and the right way round; None where the
    unit was not named, or has no factor."""  # noqa: D205, D209
    factor, answer = model.clear.factor[unit], story.answer
    if story.verdict != NAMED or not factor or answer is None:
        return None
    if answer.attribute not in model.world.attributes[factor]:
        return False
    if answer.attribute not in SIGNED.get(factor, ()):
        return True
    return turned(model, unit, factor) * answer.direction > 0


def turned(model: Known, unit: int, factor: str) -> float:
    """Whether a code grows with its factor."""
    column = torch.from_numpy(model.factors[:, model.world.factors.index(factor)]).double()
    code = model.codes[:, unit].double()
    return float(((column - column.mean()) * (code - code.mean())).mean().sign())


def spoken(answer: Answer | None) -> str:
    """What was said."""
    return "" if answer is None else answer.text or answer.abstained


def counts(found: Study) -> tuple[int, int, int]:
    """Named, abstained and inactive units."""
    named = sum(unit.verdict == NAMED for unit in found.units)
    idle = sum(unit.verdict == INACTIVE for unit in found.units)
    return named, len(found.units) - named - idle, idle
