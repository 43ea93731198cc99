"""Tokens as units of an atlas: their cards, names, exemplars, company, and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    RelationEntry,
    Said,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas
from legenda.atlas.write import (
    put_exemplars,
    put_failure,
    put_model,
    put_picture,
    put_relations,
    put_result,
    put_set,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.concepts.model import ConceptModel
from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.corpus.images import open_image
from legenda.corpus.stream import evenly
from legenda.models.vq import VQ
from legenda.tasks.atlas_concepts import certainty
from legenda.tasks.atlas_models import model_entry, set_entry, target_key
from legenda.tasks.atlas_pictures import codes_entry, frame_of, picture_entry, put_codes
from legenda.tasks.token_card import TokenCard, TokenName
from legenda.tasks.token_naming import TokenNames
from legenda.tasks.token_survey import Survey

IMPORTANCE, CLASSES, ENLARGED = "token importance", 3, 8
"""What tokens are ranked by; classes that are scored of each; and pixels of a decoded one."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """What is known of the tokens of a model over labelled pictures.

    Parameters
    ----------
    vq, model: the model, and the concept model that was asked.
    survey, scores: the pictures as tokens, and what each position matters.
    cards: one for every token.
    called: names, where they were asked for.
    best: of each token its most important cells, as rows of the survey and positions.
    accuracy: of the concept model.
    lost: why pictures could not be read.
    """

    vq: VQ
    model: ConceptModel
    survey: Survey
    scores: Float[np.ndarray, "b n"] = field(repr=False)
    cards: list[TokenCard] = field(repr=False)
    called: TokenNames | None
    best: dict[int, list[tuple[int, int]]] = field(repr=False)
    accuracy: tuple[Score, ...]
    lost: tuple[str, ...] = ()

    def name(self, token: int) -> TokenName | None:
        """The name of a token, if one was looked for."""
        return None if self.called is None else self.called.names.get(token)


def put_tokens(
    atlas: Atlas, study: int, entry: StudyEntry, found: Tokens, pictures: int
) -> list[int]:
    """All of it, inside a transaction; the numbers of the units."""
    model = put_model(atlas, model_entry(found.vq, "tokens"))
    right = found.accuracy[0]
    card: dict[str, Any] = {"asked": found.model.name, "right": right.value, "right_n": right.n}
    set_id = put_set(atlas, set_entry(model, found.vq.codebook, "token", card, "codebook"))
    cells, images = found.survey.tokens.size, len(found.survey)
    units = [unit_of(set_id, one, found.name(one.token), cells, images) for one in found.cards]
    ids = put_units(atlas, units)
    with Writer(atlas, study) as writer:
        for one in found.cards:
            if one.cells:
                writer.add(explanation_of(entry, ids[one.token], one, found.name(one.token)))
    put_relations(atlas, study, company(found.cards, ids))
    put_seen(atlas, set_id, ids, found, pictures)
    if found.called is not None:
        put_result(atlas, study, "nulls", "token", "Crops dealt to tokens by lot", nulls_of(found.called))  # fmt: skip # noqa: E501
    for why in found.lost:
        put_failure(atlas, study, why.partition(" ")[0], why)
    return ids


def unit_of(
    set_id: int, one: TokenCard, name: TokenName | None, cells: int, images: int
) -> UnitEntry:
    """One token, in one line."""
    facts: dict[str, Any] = {"cells": one.cells, "images": one.images.value, "top": one.top}
    state, said, why, sure = "unread", "", "", (None, None, None)
    if not one.cells:
        state, why = "dead", f"none of {cells:,} cells of {images} pictures holds it"
    elif name is not None and name.text:
        state, said = "named", name.text
        if name.check is not None and isfinite(name.check.auroc):
            sure = certainty(name.check.auroc, name.check.interval)
            facts["certainty"] = "2 AUROC - 1 of the word on held-out crops"
    elif name is not None:
        state, why = "abstained", name.reason or "no word stands out"
    score = one.importance
    if score is not None:
        facts |= {"score": IMPORTANCE, "score_n": score.n, "score_control": score.control}
        if all(map(isfinite, score.interval)):
            facts |= {"score_low": score.interval[0], "score_high": score.interval[1]}
    value = None if score is None else score.value
    return UnitEntry(set_id, one.token, f"token {one.token}", state, said, why, *sure, value, facts)


def explanation_of(
    entry: StudyEntry, unit: int, one: TokenCard, name: TokenName | None
) -> ExplanationEntry:
    """How a token looks, what it is called, and what it matters beside controls."""
    return ExplanationEntry(
        target_key(entry, one.token), f"token {one.token}", "TokenImportance", unit, None,
        looks(one), said_of(name), scores_of(one, name),
        {"neighbours": [list(pair) for pair in one.neighbours]},
    )  # fmt: skip


def looks(one: TokenCard) -> EvidenceEntry | None:
    """The token decoded alone, and on average among others, enlarged."""
    tiles = {"alone": one.alone, "among others": one.company}
    there = {name: tile for name, tile in tiles.items() if tile is not None}
    if not there:
        return None
    side = ENLARGED * max(max(tile.shape[:2]) for tile in there.values())
    images = [Image.fromarray(t).resize((side, side), Image.Resampling.NEAREST) for t in there.values()]  # fmt: skip # noqa: E501
    stacked = np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])
    captions = [f"token {one.token} decoded {name}" for name in there]
    return EvidenceEntry("pictures", {"images": torch.from_numpy(stacked)}, {"captions": captions})


def said_of(name: TokenName | None) -> tuple[Said, ...]:
    """A name and its rivals; or why there is none."""
    if name is None:
        return ()
    sure = (None, None, None)
    if name.text and name.check is not None and isfinite(name.check.auroc):
        sure = certainty(name.check.auroc, name.check.interval)
    first = Said(name.text or "", name.by, *sure, abstained="" if name.text else name.reason)
    return (first, *[Said(word, name.by) for word, _ in name.candidates if word != name.text][:6])


def scores_of(one: TokenCard, name: TokenName | None) -> tuple[Score, ...]:
    """What the token matters: everywhere, and to the classes that it is clearest for."""
    found = []
    if one.importance is not None:
        ends = one.importance.interval
        within = ends if all(map(isfinite, ends)) else (nan, nan)
        found.append(Score(IMPORTANCE, one.importance.value, within, one.importance.n, True, one.importance.control))  # fmt: skip # noqa: E501
    for part in one.classes[:CLASSES]:
        share, other = part.share, part.control
        found.append(Score(f"important in {part.concept}", share.value, share.interval, share.n, True, other.value, other.interval, "share"))  # fmt: skip # noqa: E501
    check = None if name is None or not name.text else name.check
    if check is not None and isfinite(check.auroc):
        found.append(Score("name check", check.auroc, check.interval, check.images, True, check.random, None, "AUROC"))  # fmt: skip # noqa: E501
    return tuple(found)


def company(cards: Sequence[TokenCard], ids: Sequence[int]) -> list[RelationEntry]:
    """Tokens that are found together more often than by chance, each pair once."""
    found: dict[tuple[int, int], RelationEntry] = {}
    for one in cards:
        for lift in one.together:
            pair = min(lift.first, lift.second), max(lift.first, lift.second)
            chance = one.by_chance
            facts = {"measure": "lift", "pictures": lift.images}
            found.setdefault(pair, RelationEntry(
                "co-occurs", ids[pair[0]], ids[pair[1]], lift.value, lift.together, *lift.interval,
                None if chance is None else chance.value, facts,
            ))  # fmt: skip
    return list(found.values())


def put_seen(
    atlas: Atlas, set_id: int, ids: Sequence[int], found: Tokens, pictures: int
) -> None:  # fmt: skip
    """The exemplars of every token with maps, and the tokens of pictures."""
    rows = sorted({row for best in found.best.values() for row, _ in best} | set(evenly(len(found.survey), min(pictures, len(found.survey)))))  # fmt: skip # noqa: E501
    number, codes = {}, {}
    for row in rows:
        one = found.survey.labels.images[row]
        picture = open_image(one.image)
        kept = picture_entry(picture, str(one.image), one.label)
        number[row] = put_picture(atlas, kept)
        frame = frame_of(found.vq.preprocess, picture.size, kept)
        tokens = torch.from_numpy(found.survey.tokens[row].astype(np.int64))[None, :, None]
        codes[row] = codes_entry(Codes(tokens, torch.ones(tokens.shape), len(ids)), found.vq.grid, frame)  # fmt: skip # noqa: E501
    put_codes(atlas, set_id, {number[row]: codes[row] for row in rows})
    maps = {token: maps_of(found, best, codes) for token, best in sorted(found.best.items())}
    evidence = dict(zip(maps, put_evidence(atlas, list(maps.values())), strict=True))
    for token, best in found.best.items():
        strongest = [(number[row], float(found.scores[row, place])) for row, place in best]
        put_exemplars(atlas, ids[token], strongest, evidence[token])


def maps_of(
    found: Tokens, best: Sequence[tuple[int, int]], codes: dict[int, EvidenceEntry]
) -> EvidenceEntry:
    """What each cell of the token's exemplars matters, where the token itself stands; 0 elsewhere."""  # noqa: E501
    drawn = []
    for row, place in best:
        held = found.survey.tokens[row] == found.survey.tokens[row, place]
        drawn.append(torch.from_numpy(np.where(held, found.scores[row], 0).astype(np.float32)))
    maps = torch.stack(drawn).unflatten(1, found.vq.grid)
    frames = [codes[row].facts["frame"] for row, _ in best]
    return EvidenceEntry("exemplars", {"maps": maps}, {"grid": list(found.vq.grid), "unit": "importance", "frames": frames})  # fmt: skip # noqa: E501


def nulls_of(called: TokenNames) -> dict[str, Any]:
    """How many tokens are named where crops are dealt to them by lot, and how many are named."""
    dealt, named = called.shuffled, called.named
    low, high = dealt.interval
    return {
        "kind": "token", "threshold": None, "alpha": 1 - called.how.level, "n": dealt.n,
        "silent": 1 - dealt.value, "low": 1 - high, "high": 1 - low, "coverage": named.value,
        "coverage_low": named.interval[0], "coverage_high": named.interval[1],
    }  # fmt: skip
