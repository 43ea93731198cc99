"""The tokens of a model, a card for each: read, learned, weighed, counted, and drawn.

Labelled images are read as tokens; a concept model tells the labels apart from tokens, or is
trained to; the importance of every position for the label of its image is measured; and what
the tokens are to the classes is counted. Everything that takes time is kept, in pieces, so that
a run that was killed goes on, and one that is repeated costs nothing.

Three controls stand beside the counts: shares among the images of all other classes; tokens by
how frequent they are, which is the published baseline; and how much stands out where labels are
shuffled among the images.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Token importance, counted over the images of a concept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from legenda.concepts.extractors import CNN, Extractor
from legenda.concepts.model import ConceptModel
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import SCHEDULE, measured, train_concepts
from legenda.core.explanation import Score
from legenda.corpus.labels import Labels
from legenda.errors import BadInput, near
from legenda.explain.concept_tokens import ConceptRanking, ConceptTokens, TokenCounts
from legenda.explain.token_importance import TokenImportance
from legenda.models.vq import VQ
from legenda.tasks.edit import fits
from legenda.tasks.shelf import Shelf, fingerprint
from legenda.tasks.token_card import TokenCard
from legenda.tasks.token_cards import by_importance, cards
from legenda.tasks.token_counts import counted, shares
from legenda.tasks.token_naming import TokenNames, TokenNaming, name_tokens, seeable
from legenda.tasks.token_survey import Report, Survey, silent, survey_importance, survey_tokens

__all__ = ["TokenBook", "TokenCard", "cards", "token_book"]

MOST = 1000
"""At most so many tokens are drawn, the most important, and those that are listed."""
LISTED = 10
"""Tokens of each concept that a reader is shown."""
BATCH, STEPS, FEWEST, MANY = 32, 600, 12, 60
"""Images per training step; and a training has so many steps, but within these many epochs."""


@dataclass(frozen=True, eq=False)
class TokenBook:
    """The tokens of a model over labelled images.

    Parameters
    ----------
    cards: one for every token, by number; `drawn` are those with pictures, the most important
        first.
    ranking, baseline: the tokens of every concept, and the same by frequency.
    accuracy: how well the concept model names what an image shows; `extractor` says which it
        is, and `judged` on what that was measured.
    standing, shuffled: how many pairs of a concept and a token stand out, and how many where
        the labels are shuffled; of `asked` pairs.
    survey: the images.
    settings: what all this depends on.
    names: of the drawn tokens, where names were asked for.
    """

    cards: list[TokenCard]
    drawn: tuple[int, ...]
    ranking: ConceptRanking
    baseline: ConceptRanking
    accuracy: tuple[Score, ...]
    extractor: str
    judged: str
    standing: int
    shuffled: int
    asked: int
    survey: Survey
    settings: dict[str, Any]
    names: TokenNames | None = None


def token_book(
    vq: VQ,
    labels: Labels,
    folder: Path | None = None,
    *,
    concepts: ConceptModel | None = None,
    extractor: Extractor = CNN(),  # noqa: B008 -- frozen
    how: ConceptTokens = ConceptTokens(),  # noqa: B008
    importance: TokenImportance = TokenImportance(),  # noqa: B008
    epochs: int | None = None,
    seed: int = 0,
    most: int = MOST,
    naming: TokenNaming | None = None,
    report: Report = silent,
    lost: Callable[[str], None] = lambda sentence: None,
) -> TokenBook:
    """A card for every token of a model, and the tokens of every concept.

    Parameters
    ----------
    vq, labels: the model, and images with what each shows.
    folder: where work is kept; None keeps none.
    concepts: the concept model that is asked; None trains `extractor`.
    how: which positions count, and how tokens are ranked.
    importance: how positions are weighed.
    epochs: of the training; more train longer. None: as many as make `STEPS` steps.
    seed: of the training and its split, and of what is shuffled.
    most: tokens that are drawn, at most; more make the page heavier.
    naming: how the drawn tokens are named; None names none.
    report: is told what is being done, how much of it is done, and how much there is.
    lost: is told why an image cannot be read; the others go on.
    """
    check(vq, labels, concepts, how, epochs)
    if naming is not None:
        seeable(vq)
    shelf = Shelf(folder)
    survey = survey_tokens(vq, labels, shelf, report, lost)
    if concepts is None:
        concepts, accuracy, judged = learned(vq, survey, extractor, epochs, seed, folder, report)
    else:
        accuracy, judged = known(concepts, survey)
    scores = survey_importance(concepts, survey, importance, shelf, report)
    names, counts = survey.labels.classes, tally(vq, survey, scores, how.top)
    ranking = how.rank(counts, names)
    baseline = replace(how, by="frequency").rank(counts, names)
    drawn = shown(counts, (ranking, baseline), most)
    made = cards(vq, survey, scores, counts, drawn=drawn, seed=seed, shelf=shelf, report=report)
    called = None
    if naming is not None:
        called = name_tokens(vq, survey, scores, drawn, naming, shelf, report)
        made = [replace(card, name=called.names.get(card.token)) for card in made]
    shuffled = shares(tally(vq, survey, scores, how.top, seed)).standing
    settings = {
        "model": vq.ref, "extractor": concepts.ref, "measured on": judged,
        "importance": repr(importance), "ranking": repr(how), "seed": seed,
    }  # fmt: skip
    if naming is not None:
        settings |= {"named by": naming.model.ref, "naming": repr(naming)}
    return TokenBook(
        made, tuple(drawn), ranking, baseline, accuracy, concepts.name, judged,
        shares(counts).standing, shuffled, counts.tops.numel(), survey, settings, called,
    )  # fmt: skip


def check(
    vq: VQ, labels: Labels, concepts: ConceptModel | None, how: ConceptTokens, epochs: int | None
) -> None:
    """Refuse what cannot work, before anything is read."""
    positions = vq.grid[0] * vq.grid[1]
    if how.top > positions:
        raise BadInput(
            f"a grid of {positions} positions has no top {how.top}. Take 1 to {positions} of them."
        )
    if epochs is not None and epochs < 1:
        raise BadInput(f"a training needs an epoch or more; it got {epochs}. Leave it out, or give more.")  # fmt: skip # noqa: E501
    labels.checked()
    if concepts is None:
        return
    fits(vq, concepts)
    strange = [name for name in labels.classes if name not in concepts.concepts]
    if strange:
        raise BadInput(
            f"{concepts.name} does not know {', '.join(map(repr, strange[:5]))}"
            f"{f' and {len(strange) - 5} more' if len(strange) > 5 else ''}, which {labels.source} "
            f"names.{near(strange[0], concepts.concepts)} Leave the concept model out, and one is "
            "trained on these labels."
        )


def learned(
    vq: VQ, survey: Survey, extractor: Extractor, epochs: int | None, seed: int,
    folder: Path | None, report: Report,
) -> tuple[ConceptModel, tuple[Score, ...], str]:  # fmt: skip
    """A concept model of the labels, and how well it does on images that it did not see."""
    labels = survey.labels
    whole = TokenSet.of(survey.tokens, labels.numbers, labels.classes, vq.grid, len(vq.codebook))
    training, validation, test = whole.split(seed=seed)
    epochs = epochs or min(MANY, max(FEWEST, -(-STEPS * BATCH // len(training))))
    steps = epochs * -(-len(training) // BATCH)
    schedule = replace(SCHEDULE, warmup=min(SCHEDULE.warmup, max(1, steps // 6)))
    setting = fingerprint(whole.digest, repr(extractor), repr(vq.codebook), epochs, seed)
    model = train_concepts(
        extractor, vq.codebook, training, validation, epochs=epochs, batch=BATCH,
        schedule=schedule, seed=seed, folder=folder and folder / f"concepts-{setting}",
        report=lambda step, figures: report("training", step + 1, steps),
    )  # fmt: skip
    model = replace(model, ref=f"{extractor!r}, trained on {len(training)} of these images for {epochs} epochs")  # fmt: skip # noqa: E501
    return model, measured(model, test), f"{len(test)} images that it did not see"


def known(concepts: ConceptModel, survey: Survey) -> tuple[tuple[Score, ...], str]:
    """How well a given concept model does on all images."""
    numbers = [concepts.number(one.label) for one in survey.labels.images]
    whole = TokenSet.of(
        survey.tokens, numbers, concepts.concepts, concepts.grid, len(concepts.codebook), least=0
    )
    return measured(concepts, whole), f"all {len(survey)} images, which it may have been trained on"


def tally(
    vq: VQ, survey: Survey, scores: np.ndarray, top: int, shuffle: int | None = None
) -> TokenCounts:
    """What each concept has of each token; with `shuffle`, a seed, of labels dealt by lot."""
    labels = torch.tensor(survey.labels.numbers)
    if shuffle is not None:
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(shuffle))]  # fmt: skip # noqa: E501
    names = survey.labels.classes
    return counted(survey.tokens, scores, labels, len(vq.codebook), len(names), top)


def shown(counts: TokenCounts, rankings: Sequence[ConceptRanking], most: int) -> list[int]:
    """The tokens to be drawn, the most important first: all, or the listed and then the best."""
    order = by_importance(counts)
    listed = {t for ranking in rankings for one in ranking.lists for t in one.tokens[:LISTED].tolist()}  # fmt: skip # noqa: E501
    chosen = listed | set([t for t in order if t not in listed][: max(0, most - len(listed))])
    return [token for token in order if token in chosen]
