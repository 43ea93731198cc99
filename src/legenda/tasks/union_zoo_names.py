"""Names of the shipped models' tokens, concepts and latents, for one rule (`union_names`)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.corpus.labels import Labelled, Labels
from legenda.describe.family_naming import FamilyNaming
from legenda.describe.token_names import Crops
from legenda.describe.unit_vectors import UnitEvidence
from legenda.describe.vocabulary import Vocabulary, everyday
from legenda.describe.word_embeddings import TEMPLATES, embedded
from legenda.explain.token_information import TokenInformation
from legenda.models.opening import open_model
from legenda.tasks.atlas_models import model_entry
from legenda.tasks.name_concepts import bias_of
from legenda.tasks.run_identity import dictionary_digest
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_cards import exemplars
from legenda.tasks.token_naming import Cell, TokenNaming, looked_at
from legenda.tasks.token_survey import Survey
from legenda.tasks.union_names import Kind
from legenda.tasks.union_place import LESS, concepts_in, latents_in, tokens_in
from legenda.tasks.union_sureness import Candidates, of_concepts, of_moved, of_tokens

SCENES, VAE = "zoo:scenes", "zoo:vae"


def kinds_of(zoo: Any) -> dict[str, Kind]:
    """Tokens, concepts and latents; units that are not in the atlas are gathered first."""
    atlas, device, report = zoo.atlas, zoo.device, zoo.report
    _, tokens = tokens_in(atlas, zoo.vq, zoo.tokens)
    _, concepts = concepts_in(atlas, SCENES, zoo.reader, device, report)
    vae: Any = open_model(VAE, device=device)
    units = Units(vae, Identity(vae.width, "latents"))
    _, latents = latents_in(atlas, units, VAE, device, report)
    report("asking about latents", 0, 1)
    moved = of_moved(units, LESS)
    return {
        "token": Kind(token_names(zoo), tokens, f"zoo:vq {dictionary_digest(zoo.vq.codebook)}"),
        "concept": Kind(concept_names(zoo), concepts, f"{SCENES} {dictionary_digest(zoo.reader.dictionary)}"),  # fmt: skip # noqa: E501
        "latent": Kind(moved, latents, f"{VAE} {dictionary_digest(units.dictionary)}"),
    }  # fmt: skip


def identity_of(zoo: Any) -> dict[str, Any]:
    """What the names depend on."""
    amount, vae = zoo.amount, open_model(VAE, device=zoo.device)
    models = (zoo.vq, zoo.concepts, zoo.reader.model, vae)
    return {
        "models": {one.ref: model_entry(one).digest for one in models},
        "concepts": dictionary_digest(zoo.reader.dictionary), "close-ups": amount.close_ups,
        "named": amount.named, "crops": amount.crops, "words": amount.words, "latents": repr(LESS),
    }  # fmt: skip


def concept_names(zoo: Any) -> Candidates:
    """Concepts of scenes by words of their world and everyday ones."""
    reader, words = zoo.reader, scene_words().with_words(everyday(zoo.amount.words))
    zoo.report("reading words", 0, len(words))
    vectors = spoken(reader.model, words)
    evidence = UnitEvidence(reader.dictionary.atoms, bias_of(reader.dictionary), reader.survey)
    return of_concepts(evidence, words, vectors, FamilyNaming(), seed=zoo.seed)


def token_names(zoo: Any) -> Candidates:
    """Tokens by what is around the cells that a concept model pays most for."""
    dual: Any = open_model(SCENES, device=zoo.device)
    how = TokenNaming(dual, scene_words(), crops=zoo.amount.crops, seed=zoo.seed)
    survey, nats = surveyed(zoo), paid(zoo)
    total = np.bincount(survey.tokens.ravel(), nats.ravel(), len(zoo.vq.codebook))
    some = np.argsort(-total, kind="stable")[: zoo.amount.named].tolist()
    best = exemplars(survey, nats, how.crops)
    cells = [Cell(t, row, at, False) for t in sorted(some) for row, at in best.get(t, [])]
    rows = looked_at(zoo.vq, survey, cells, how, ["union"], Shelf(), zoo.report)
    crops = Crops(rows, torch.tensor([one.token for one in cells]))
    return of_tokens(crops, len(zoo.vq.codebook), how.vocabulary, spoken(dual, how.vocabulary), seed=zoo.seed)  # fmt: skip # noqa: E501


def surveyed(zoo: Any) -> Survey:
    """The close-ups as a survey; they lie in no files."""
    _, labels = zoo.close_ups
    rows = tuple(Labelled(Path(f"close-up {i}"), label) for i, label in enumerate(labels))
    keys = tuple(f"close-up {i}" for i in range(len(rows)))
    tokens = zoo.tokens.cpu().numpy().astype(np.uint16)
    return Survey(Labels(Path("close-ups"), rows), keys, tokens, ())


def paid(zoo: Any) -> Float[np.ndarray, "b n"]:
    """What the concept model pays for each cell, in nats."""
    units = Units(zoo.concepts, zoo.concepts.codebook)
    return TokenInformation()(units, zoo.tokens, Logit(0)).scores.cpu().numpy()


def scene_words() -> Vocabulary:
    """The words of drawn scenes."""
    from legenda.zoo.scenes.concept_pictures import factors

    words = tuple(dict.fromkeys(value for _, value in factors()))
    return Vocabulary(words, source="words of drawn scenes")


def spoken(model: Any, words: Vocabulary) -> torch.Tensor:
    """Words embedded, in the sentences of the model."""
    return embedded(words, model.embed_text, getattr(model, "templates", None) or TEMPLATES)
