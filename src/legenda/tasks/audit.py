"""An audit: does a model of two groups go by what makes them, or by what comes along with them?

A concept model learns the groups apart from the tokens of training images, and each group gets a
list of the tokens that this rests on. Three kinds of images then answer three questions.

Neutral ones, made for neither group: whose tokens do they hold (`GroupLean`)? Reference ones, in
which what is suspected is not tied to the group: which tokens does the concept model follow though
they say nothing of the group (`ShortcutTokens`), and what becomes of its margin without them
(`Counterfactual`)? With neither, training images say which tokens differ between the groups
(`DifferingTokens`), and no more: what always comes along with a group cannot be told from it.

References
----------
Yang, Shi, Du, Wu, Tan, Sun, Liu. Concept-centric token interpretation for vector-quantized
generative models. ICML 2025. Shortcuts and bias: neutral prompts, and lists of 10 tokens that are
counted over the 5 most important positions of each image.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from legenda.concepts.extractors import CNN, Extractor
from legenda.concepts.model import ConceptModel
from legenda.core.explanation import Score
from legenda.explain.concept_tokens import ConceptTokens
from legenda.explain.token_importance import TokenImportance
from legenda.models.vq import VQ
from legenda.tasks.audit_findings import Look, Margin, Read, looks, right
from legenda.tasks.audit_groups import PARTS, TRAINING, Groups, part_of
from legenda.tasks.audit_questions import Answers, Lists, Questions
from legenda.tasks.shelf import Shelf
from legenda.tasks.token_survey import Report, Survey, silent, survey_importance, survey_tokens
from legenda.tasks.tokens import check, known, learned, tally

__all__ = ["LISTS", "Answers", "Audited", "Groups", "Knowledge", "audited"]

LISTS = ConceptTokens(top=5, keep=10)
"""The published lengths, for this question."""
LISTED = 10
"""Tokens of each list that are shown as pictures."""
USUAL = "as many as make 600 steps, 12 to 60"
"""What is said of epochs where nothing was."""


@dataclass(frozen=True)
class Knowledge:
    """The concept model that is asked, and how well it knows the groups.

    Parameters
    ----------
    name, made: what it is called, and what it was made by; `trained` if that was here.
    accuracy: how often it names what an image shows; `judged` says of which images.
    reference: how often it prefers the right group in reference images; None without them.
    copies: reference images that are copies of training images, and so not held out.
    """

    name: str
    made: str
    trained: bool
    accuracy: Score
    judged: str
    reference: Score | None
    copies: int


@dataclass(frozen=True, eq=False)
class Audited:
    """An audit of two groups.

    Parameters
    ----------
    groups: their names; margins and every δ are above 0 toward the first.
    images: of each part, how many were read, of each group or of neither.
    knowledge: of the concept model that was asked.
    lists: what it rests on in training images of each group.
    answers: what was found.
    looks: of the tokens that are named, by number.
    refused: why images could not be read.
    settings: what all this depends on.
    """

    groups: tuple[str, str]
    images: dict[str, tuple[int, ...]]
    knowledge: Knowledge
    lists: Lists
    answers: Answers
    looks: dict[int, Look]
    refused: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def shared(self) -> tuple[int, ...]:
        """The tokens of both lists, which count for neither group."""
        a, b = (set(one.tokens.tolist()) for one in self.lists)
        return tuple(sorted(a & b))


def audited(
    vq: VQ,
    groups: Groups,
    folder: Path | None = None,
    *,
    concepts: ConceptModel | None = None,
    extractor: Extractor = CNN(),  # noqa: B008 -- frozen
    how: ConceptTokens = LISTS,
    importance: TokenImportance = TokenImportance(),  # noqa: B008
    fdr: float = 0.05,
    epochs: int | None = None,
    seed: int = 0,
    report: Report = silent,
    lost: Callable[[str], None] = lambda sentence: None,
) -> Audited:
    """Audit a model of two groups.

    Parameters
    ----------
    vq, groups: the model, and images with what each is there for.
    folder: where work is kept; None keeps none.
    concepts: the concept model that is asked; None trains `extractor`.
    how: which positions count, and how the lists are ranked.
    importance: how positions are weighed.
    fdr: share of false ones tolerated among flagged tokens; larger flags more.
    epochs: of the training; more train longer. None: as many as `token_book` takes.
    seed: of everything that is drawn.
    report: is told what is being done, how much of it is done, and how much there is.
    lost: is told why an image cannot be read; the others go on.
    """
    ask, shelf = Questions(groups.names, fdr, seed), Shelf(folder)
    check(vq, groups.part(TRAINING), concepts, how, epochs)
    survey = survey_tokens(vq, groups.labels, shelf, report, lost)
    groups.checked(survey.labels)
    training, reference, neutral = (part_of(survey, part) for part in PARTS)
    model, accuracy, judged = (
        learned(vq, training, extractor, epochs, seed, folder, report)
        if concepts is None
        else (concepts, *known(concepts, training))
    )
    made = f"{extractor!r}, trained on these images" if concepts is None else concepts.ref
    scores = survey_importance(model, training, importance, shelf, report)
    ranking = how.rank(tally(vq, training, scores, how.top), training.labels.classes)
    lists = ranking[groups.names[0]], ranking[groups.names[1]]
    held_out, margin = Read.of(reference), Margin(model, groups.names)
    answers = ask.answered(model, Read.of(training), held_out, Read.of(neutral), lists)
    knowledge = Knowledge(
        model.name, made, concepts is None, accuracy[0], judged, right(margin, held_out),
        len(set(training.keys) & set(reference.keys)),
    )  # fmt: skip
    sizes = {part: groups.sizes(survey.labels, part) for part in PARTS}
    both, weights = together(training, reference, scores)
    seen = looks(vq, both, weights, shown(lists, answers), shelf, report)
    settings = {
        "model": vq.ref, "concept model": made, "importance": repr(importance),
        "lists": repr(how), **ask.settings(answers), "seed": seed,
        **({"epochs": epochs or USUAL} if knowledge.trained else {}),
    }  # fmt: skip
    return Audited(groups.names, sizes, knowledge, lists, answers, seen, survey.refused, settings)


def together(
    training: Survey, reference: Survey, scores: Float32[np.ndarray, "b n"]
) -> tuple[Survey, Float32[np.ndarray, "r n"]]:
    """All labelled images and what their cells matter: reference ones, never weighed, come last."""
    labels = replace(training.labels, images=training.labels.images + reference.labels.images)
    tokens = np.concatenate([training.tokens, reference.tokens])
    last = np.full(reference.tokens.shape, -np.inf, scores.dtype)
    return Survey(labels, training.keys + reference.keys, tokens, ()), np.concatenate(
        [scores, last]
    )


def shown(lists: Lists, answers: Answers) -> list[int]:
    """The tokens that are to be seen, each once."""
    found = [token for one in answers.flagged for token in (one.token, one.substitute)]
    if answers.differing:
        rows = answers.differing.differ[: len(answers.differing.intervals)]
        found += answers.differing.tokens[rows].tolist()
    found += [token for one in lists for token in one.tokens[:LISTED].tolist()]
    return list(dict.fromkeys(found))
