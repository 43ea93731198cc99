"""The shipped models on trial: four systems for one table of faithfulness (`union_trials`)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from legenda.agreement import opened
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.explain.token_importance import TokenImportance
from legenda.explain.token_information import TokenInformation
from legenda.models.opening import open_model
from legenda.tasks.atlas_models import model_entry
from legenda.tasks.latent_ground import grounded
from legenda.tasks.latent_story import INACTIVE, NAMED
from legenda.tasks.latents import study
from legenda.tasks.run_identity import dictionary_digest
from legenda.tasks.union_faithful import Trial
from legenda.tasks.union_place import LESS
from legenda.tasks.union_scenes import told_scenes
from legenda.tasks.union_trials import SEEDS, cells, concept, latents, patches

SCENES, VAE, HELD_OUT = "zoo:scenes", "zoo:vae", 5_000_000


def trials_of(zoo: Any) -> dict[str, Callable[[], Trial]]:
    """What makes the trial of each system."""
    return {
        "M2IB": partial(by_patches, zoo),
        "CORTEX, slope": partial(by_cells, zoo, True),
        "CORTEX, nats": partial(by_cells, zoo, False),
        "concepts": partial(by_concepts, zoo),
        "latents": partial(by_latents, zoo),
    }


def identity_of(zoo: Any) -> dict[str, Any]:
    """What the trials depend on."""
    vae = open_model(VAE, device=zoo.device)
    models = (zoo.vq, zoo.concepts, zoo.reader.model, vae)
    return {
        "models": {one.ref: model_entry(one).digest for one in models},
        "concepts": dictionary_digest(zoo.reader.dictionary), "pictures": list(zoo.amount.trials),
        "draws": zoo.amount.draws, "seeds": list(SEEDS), "names": sorted(zoo.reader.words.items()),
    }  # fmt: skip


def by_patches(zoo: Any) -> Trial:
    """M2IB on scenes and sentences about one thing."""
    told = told_scenes(zoo.amount.trials[1], first=HELD_OUT + 500_000)
    dual = opened(SCENES, device=zoo.device)
    return patches(dual, [t.shown.picture for t in told], [t.sentence for t in told])


def by_cells(zoo: Any, slopes: bool) -> Trial:
    """Tokens of close-ups by slopes, or by nats."""
    count = zoo.amount.trials[0]
    tokens, labels = zoo.tokens[:count], zoo.close_ups[1][:count]
    numbers = [zoo.concepts.number(label) for label in labels]
    if slopes:
        ways: dict[int, Any] = {s: TokenImportance(draws=zoo.amount.draws, seed=s) for s in SEEDS}
        return cells(zoo.concepts, tokens, numbers, ways, "slope (TIS)", seed=zoo.seed)
    return cells(zoo.concepts, tokens, numbers, {0: TokenInformation()}, "nats of tokens", seed=zoo.seed)  # fmt: skip # noqa: E501


def by_concepts(zoo: Any) -> Trial:
    """Named concepts of scenes that nothing was fitted to."""
    from legenda.zoo.scenes.concept_pictures import DrawnScenes

    scenes = DrawnScenes(HELD_OUT, zoo.amount.trials[0])
    x = zoo.reader.model.pixels([scenes.open(i) for i in range(len(scenes))])
    return concept(zoo.reader.model, zoo.reader.dictionary, x, zoo.reader.words)


def by_latents(zoo: Any) -> Trial:
    """Latents that a study names by an attribute, on draws that named nothing."""
    vae: Any = open_model(VAE, device=zoo.device)
    units = Units(vae, Identity(vae.width, "latents"))
    found = study(units, LESS)
    named = {s.index: s.answer.attribute for s in found.units if s.verdict == NAMED and s.answer}
    active = [s.index for s in found.units if s.verdict != INACTIVE]
    spread = grounded(units, LESS, None).measured.spread
    lot = torch.Generator().manual_seed(zoo.seed + 911)
    z = torch.randn(zoo.amount.trials[0], 1, vae.width, generator=lot).to(zoo.device)
    return latents(vae, named, active, z, spread)
