"""Small VAEs of our own, of different objectives, prices and seeds, for the truth about certainty.

They learn drawn sprites, or scenes of one thing, at 32 px: the factors of every picture are known. Those with a
seed of 100 or more chose settings; the others chose nothing, and are what a row reports.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from benchmarks.truths.scene_world import SceneWorld, seen
from legenda.autoencoders.beta_tcvae import BetaTCVAE
from legenda.autoencoders.course import fit, plan_of
from legenda.autoencoders.likelihood import Gaussian
from legenda.autoencoders.source import Held
from legenda.autoencoders.vae import VAE
from legenda.models.burgess import Burgess
from legenda.models.vae_hub import layout_of
from legenda.zoo.sprites.world import WORLDS, World

SIDE, LATENTS, PICTURES, STEPS, BATCH = 32, 10, 40_000, 5_000, 64
RATE = 1e-3
NOISE = Gaussian(0.2)
"""Of each colour: with more, a shape of a hundred pixels is not worth its nats."""
DRAWN = 7
"""The seed of the pictures to learn from; a row measures on others."""


@dataclass(frozen=True)
class Small:
    """One model to train."""

    world: str
    kind: str
    beta: float
    seed: int

    @property
    def name(self) -> str:
        """Short, and its own."""
        return f"{self.world}-{self.kind}-{self.beta:g}-{self.seed}"

    def objective(self) -> Any:
        """What it minimises."""
        if self.kind == "vae":
            return VAE(NOISE)
        from legenda.autoencoders.beta_vae import BetaVAE

        return (
            BetaVAE(self.beta, likelihood=NOISE)
            if self.kind == "beta-h"
            else BetaTCVAE(self.beta, likelihood=NOISE)
        )


KINDS = (
    ("vae", 1.0), ("beta-tc", 2.0), ("beta-tc", 4.0), ("beta-tc", 8.0), ("beta-h", 2.0),
    ("beta-h", 4.0), ("beta-h", 8.0),
)  # fmt: skip
LARGE = {
    "size": tuple(float(v) for v in np.linspace(0.3, 0.55, 6)),
    "x": tuple(float(v) for v in np.linspace(-0.4, 0.4, 24)),
    "y": tuple(float(v) for v in np.linspace(-0.4, 0.4, 24)),
}
"""At 32 px a sprite of the size of dSprites' has too few pixels for its shape to be worth learning."""
WORLDS_OF = ("colour", "grey")
SELECTION = tuple(Small(w, k, b, 100) for k, b in (KINDS[0], KINDS[2]) for w in WORLDS_OF)
SPRITES = tuple(Small(w, k, b, s) for s in (0, 1) for k, b in KINDS for w in WORLDS_OF)


SCENES = tuple(Small("scenes", k, b, 0) for k, b in KINDS[:5])
MORE = tuple(Small(w, k, b, 2) for k, b in KINDS[:2] for w in WORLDS_OF)
"""So that there are 200 active units; they were added when the others were short of that by 14."""
TEST = SPRITES + SCENES + MORE


def world_of(one: Small) -> World | SceneWorld:
    """What it learns to draw."""
    if one.world == "scenes":
        return SceneWorld()
    world = WORLDS[one.world]
    return replace(world, levels={**world.levels, **LARGE})


def folder() -> Path:
    """Where they are kept; training all takes about 40 minutes of one core."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "legenda" / "benchmarks" / "small-vaes"


def trained(which: Sequence[Small], report: Callable[[str], None] = print) -> list[Path]:
    """The models, each trained where it is not there yet; a killed training goes on."""
    return [_trained(one, report) for one in which]


def _trained(one: Small, report: Callable[[str], None]) -> Path:
    path = folder() / one.name / "vae.safetensors"
    if path.exists():
        return path
    world = world_of(one)
    source = Held(seen(world, PICTURES, DRAWN, SIDE).pictures)
    network = Burgess(SIDE, world.channels, LATENTS)
    last: dict[str, float] = {}
    fit(
        network, one.objective(), source, plan_of(STEPS, RATE), one.seed, path.parent, 2_000,
        lambda _, figures: last.update(figures), batch=BATCH,
    )  # fmt: skip
    save_file(layout_of(network), path)
    report(f"{one.name}: {', '.join(f'{k} {v:.4g}' for k, v in last.items())}")
    return path
