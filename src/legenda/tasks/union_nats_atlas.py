"""Nats of tokens beside their slopes, brought into an atlas: two scores of each, one table."""

from collections.abc import Sequence
from math import isfinite, nan
from time import perf_counter
from typing import Any

import numpy as np

from legenda.atlas.entries import ExplanationEntry, StudyEntry
from legenda.atlas.keys import digest_of, key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_result
from legenda.atlas.writer import Writer
from legenda.concepts.model import ConceptModel
from legenda.core.explanation import Score
from legenda.models.vq import VQ
from legenda.tasks.atlas_models import held, kept, model_entry, provenance, target_key
from legenda.tasks.run_identity import content, dictionary_digest
from legenda.tasks.token_counts import Occurrence
from legenda.tasks.union_nats import Weighed, measured, weighed
from legenda.tasks.union_place import Report, command, line, tokens_in
from legenda.types import Tokens

NATS, SLOPE = "nats per cell", "slope (TIS) per cell"
LISTED = 60


def gather_nats(
    atlas: Atlas,
    vq: VQ,
    concepts: ConceptModel,
    tokens: Tokens,
    labels: Sequence[str],
    *,
    draws: int = 20,
    least: int = 5,
    seed: int = 0,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Weigh the tokens of pictures by nats and by slopes, into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a study that it holds is not made again.
    vq, concepts: the model of the tokens, and the concept model that is asked.
    tokens, labels: of each picture, with what it shows.
    draws: noise by which slopes are taken.
    least: pictures that a token must be in to be compared.
    seed: of all that is random.
    report: progress.
    """
    began = perf_counter()
    entry = entry_of(vq, concepts, tokens, labels, draws, least, seed, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    numbers = [concepts.number(label) for label in labels]
    report("weighing tokens", 0, 2)
    nats, tis, by = measured(concepts, tokens, numbers, draws, seed)
    report("weighing tokens", 1, 2)
    maps = tokens.cpu().numpy().astype(np.uint16)
    found = weighed(maps, nats, tis, len(vq.codebook), least, seed=seed)
    with kept(atlas, entry, began) as number:
        _, ids = tokens_in(atlas, vq, tokens)
        with Writer(atlas, number) as writer:
            for token in found.known.tolist():
                writer.add(explanation_of(entry, found, token, ids[token]))
        title = f"What the tokens of {vq.name} matter, in nats and by slope"
        put_result(atlas, number, "importance", "nats and slopes", title, table(found, ids, by))
    return number


def entry_of(
    vq: VQ, concepts: ConceptModel, tokens: Tokens, labels: Sequence[str], draws: int, least: int,
    seed: int, device: str,
) -> StudyEntry:  # fmt: skip
    """What the study is, and how to make it again."""
    about = model_entry(vq)
    settings = {
        "model": about.ref, "weights": about.digest, "dictionary": dictionary_digest(vq.codebook),
        "concept model": concepts.ref, "asked": key_of(content(concepts.root)),
        "tokens": digest_of({"": tokens}), "labels": key_of(list(labels)), "draws": draws,
        "least": least, "seed": seed,
    }  # fmt: skip
    title = f"Nats of the tokens of {about.ref} beside their importance"
    return StudyEntry("nats", title, settings, provenance(device), command("nats", about.ref))


def explanation_of(entry: StudyEntry, found: Weighed, token: int, unit: int) -> ExplanationEntry:
    """One token with both scores."""
    scores = (
        score(NATS, found.nats, found.nats_by_lot, token, "nats"),
        score(SLOPE, found.tis, found.tis_by_lot, token, "of the logit"),
    )
    return ExplanationEntry(
        target_key(entry, token), f"token {token}", "TokenInformation and TokenImportance", unit,
        None, None, (), scores,
    )  # fmt: skip


def score(
    name: str, found: Occurrence, by_lot: np.ndarray, token: int, unit: str
) -> Score:  # fmt: skip
    """The mean over a token's cells beside that of maps by lot."""
    ends = float(found.low[token]), float(found.high[token])
    within = ends if all(map(isfinite, ends)) else (nan, nan)
    return Score(
        name, float(found.mean[token]), within, int(found.images[token]), True,
        float(by_lot[token]), None, unit,
    )  # fmt: skip


def table(found: Weighed, ids: dict[int, int], by: str) -> dict[str, Any]:
    """Agreement first, then the tokens with the most nats."""
    order = found.known[np.argsort(-found.nats.mean[found.known], kind="stable")]
    return {
        "question": "do nats and slopes name the same tokens", "nats are": by,
        "agreement": [line(s, measure=s.name) for s in (found.tokens_agree, found.cells_agree)],
        "tokens": [row(found, token, ids[token]) for token in order[:LISTED].tolist()],
        "compared": len(found.known),
    }  # fmt: skip


def row(found: Weighed, token: int, unit: int) -> dict[str, Any]:
    """One token of the table."""
    one, other = found.nats, found.tis
    return {
        "unit": unit, "pictures": int(one.images[token]),
        "nats": float(one.mean[token]), "nats between": between(one, token),
        "nats by lot": float(found.nats_by_lot[token]),
        "slope": float(other.mean[token]), "slope between": between(other, token),
        "slope by lot": float(found.tis_by_lot[token]),
    }  # fmt: skip


def between(found: Occurrence, token: int) -> str:
    """An interval in words."""
    ends = float(found.low[token]), float(found.high[token])
    return "{:.3g} and {:.3g}".format(*ends) if all(map(isfinite, ends)) else ""
