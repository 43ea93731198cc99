"""What is proved of tokens, as an atlas keeps it: masking curves, an audit, an edit."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from legenda.atlas.store import Atlas
from legenda.atlas.write import put_picture
from legenda.core.explanation import Score
from legenda.corpus.stream import evenly
from legenda.errors import BadInput
from legenda.intervene.tokens import MeanAct, Painter
from legenda.score.curves import Curve
from legenda.score.judges import Judge
from legenda.score.masking import MaskingCurve
from legenda.score.masks import at_random, by_score
from legenda.tasks.atlas_curves import beside, curve, row
from legenda.tasks.atlas_pictures import picture_entry
from legenda.tasks.atlas_token_units import Tokens
from legenda.tasks.audit import Audited
from legenda.tasks.audit_findings import Flagged
from legenda.tasks.bench import Edited
from legenda.tasks.verdict import Judged

LISTED = 40
"""Findings that are kept, the surest."""
TIS, LOT = "tis", "random"
"""Orders in which cells are taken away."""


def faithfulness(
    found: Tokens, judges: Mapping[str, Judge], names: Sequence[str], how: Any
) -> dict[str, Any]:
    """What is left of the right class as the tokens that matter most become the mean entry."""
    survey, book = found.survey, found.vq.codebook
    rows = evenly(len(survey), min(how.masked, len(survey)))
    labels = classes_of([survey.labels.images[r].label for r in rows], names).to(book.atoms.device)
    tokens = torch.from_numpy(survey.tokens[rows].astype(np.int64)).to(book.atoms.device)
    weight = torch.from_numpy(found.scores[rows]).to(book.atoms.device)
    use = torch.from_numpy(np.bincount(survey.tokens.ravel(), minlength=len(book)))
    counts = tuple(count for count in how.counts if count <= tokens.shape[1])
    masking = MaskingCurve(MeanAct(book, use.to(book.atoms.device)), counts, seed=how.seed)
    orders = {TIS: by_score(tokens, weight, how.seed), LOT: at_random(tokens, how.seed + 1)}
    made = masking(tokens, orders, Painter(book, found.vq.decode), dict(judges), labels, found.model)  # fmt: skip # noqa: E501
    return {
        "x": "share of cells replaced by the mean entry", "better": "lower",
        "y": "probability of the right class that is left",
        "curves": [left(one, tokens.shape[1], how.seed, len(judges) > 1) for one in made.values()],
        "table": [line(judge, made[TIS, judge], made[LOT, judge], how.seed) for judge in judges],
    }  # fmt: skip


def classes_of(said: Sequence[str], names: Sequence[str]) -> Int[Tensor, " b"]:
    """Labels as numbers of what judges know."""
    strange = sorted(set(said) - set(names))
    if strange:
        raise BadInput(
            f"judges of the masked pictures know {len(names)} classes, and not {strange[0]!r}. "
            "Name theirs in their order, or leave the judges out."
        )
    return torch.tensor([list(names).index(name) for name in said])


def line(judge: str, own: Curve, other: Curve, seed: int) -> dict[str, Any]:
    """What is left before one judge, the mean over all counts, beside cells by lot."""
    values, control = (one.masked.probability.mean(0).double().cpu() for one in (own, other))
    return row(f"{TIS}, {judge}", "CORTEX", beside("left", values, control, seed, higher=False))


def left(one: Curve, size: int, seed: int, many: bool) -> dict[str, Any]:
    """One method before one judge, the clean picture first."""
    y: Float[Tensor, "b s"] = torch.cat([one.clean.probability[None], one.masked.probability]).T.double().cpu()  # fmt: skip # noqa: E501
    name = f"{one.method}, {one.judge}" if many else one.method
    x = [0.0, *[count / size for count in one.counts]]
    return curve(name, "CORTEX", x, y, seed, control=one.method == LOT)


def audit_of(found: Audited, ids: Sequence[int]) -> dict[str, Any]:
    """Every flagged token with its proof; where nothing was held out, those that differ."""
    if found.answers.shortcuts is None:
        return {"groups": list(found.groups), "question": "which tokens differ between the groups", "findings": differing(found, ids)}  # fmt: skip # noqa: E501
    p = dict(zip(found.answers.shortcuts.tokens.tolist(), found.answers.shortcuts.p.tolist(), strict=True))  # fmt: skip # noqa: E501
    knows = found.knowledge
    content: dict[str, Any] = {
        "groups": list(found.groups),
        "question": "which tokens does the model follow, though they say nothing of the group",
        "findings": [finding(one, found.groups, ids, p) for one in found.answers.flagged[:LISTED]],
        "flagged": len(found.answers.flagged), "by chance": found.answers.shortcuts.control,
        "accuracy": knows.accuracy.value, "accuracy_n": knows.accuracy.n,
    }  # fmt: skip
    if knows.reference is not None:
        content |= {"held out": knows.reference.value, "held_out_n": knows.reference.n}
    return content


def finding(
    one: Flagged, groups: tuple[str, str], ids: Sequence[int], p: Mapping[int, float]
) -> dict[str, Any]:
    """One flagged token."""
    a, b = (share.value for share in one.before)
    x, y = (share.value for share in one.shares)
    text = (
        f"token {one.token} speaks for {one.toward}: it was in {a:.0%} of {groups[0]} and "
        f"{b:.0%} of {groups[1]} that were learned from, and is in {x:.0%} and {y:.0%} of them "
        "where nothing ties it"
    )
    return {
        "unit": ids[one.token], "text": text, "effect": one.delta, "low": one.interval[0],
        "high": one.interval[1], "p": p.get(one.token), "corrected": one.adjusted,
        "n": sum(share.n for share in one.shares), "proof": proof_of(one.proof, one.substitute),
        "flagged": True,
    }  # fmt: skip


def proof_of(proof: Score, substitute: int) -> str:
    """What becomes of the margin without the token."""
    low, high = proof.interval
    said = f"with token {substitute} in its place the margin moves by {proof.value:+.3f}"
    said += f" [{low:+.3f}, {high:+.3f}] in {proof.n} pictures" if isfinite(low) and isfinite(high) else f" in {proof.n} pictures"  # fmt: skip # noqa: E501
    return said if proof.control is None else f"{said}; other cells move it by {proof.control:+.3f}"


def differing(found: Audited, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Tokens that two groups hold unequally often; that alone proves nothing."""
    held = found.answers.differing
    if held is None:
        return []
    rows = []
    for place, at in enumerate(held.differ.tolist()[: len(held.intervals)]):
        token, n = int(held.tokens[at]), held.images
        shares = [int(c) / m for c, m in zip(held.present[at].tolist(), n, strict=True)]
        low, high = held.intervals[place].tolist()
        text = f"token {token} is in {shares[0]:.0%} of {held.groups[0]} and {shares[1]:.0%} of {held.groups[1]}"  # fmt: skip # noqa: E501
        rows.append({
            "unit": ids[token], "text": text, "effect": float(held.delta[at]), "low": low,
            "high": high, "p": float(held.p[at]), "corrected": float(held.adjusted[at]),
            "n": sum(n), "proof": "", "flagged": False,
        })  # fmt: skip
    return rows


def edit_of(atlas: Atlas, edit: Edited, what: str) -> dict[str, Any]:
    """An edit with its pictures, and what judges say beside random edits."""
    names = ("as it was", "before, decoded", "after, decoded")
    pictures = [
        put_picture(
            atlas,
            picture_entry(
                Image.fromarray(image.numpy()), f"{edit.edit}, {name}", f"{what}: {name}"
            ),
        )  # fmt: skip # noqa: E501
        for name, image in zip(names, edit.bytes, strict=True)
    ]
    effects = edit.effects
    content: dict[str, Any] = {
        "edit": edit.edit, "of": what, "picture": pictures[0], "before": pictures[1],
        "after": pictures[2], "cells": len(edit.positions), "grid": list(edit.grid),
        "controlled": edit.controlled,
        "judges": [line for one in edit.judged for line in judged(one)],
        "changed inside": effects.changed_inside, "changed outside": effects.changed_outside,
        "settings": {name: str(value) for name, value in edit.settings.items()},
    }  # fmt: skip
    if edit.optimised is not None:
        content["optimised"] = {"by": edit.optimised.model, "before": edit.optimised.shares[0], "after": edit.optimised.shares[1]}  # fmt: skip # noqa: E501
    return content


def judged(one: Judged) -> list[dict[str, Any]]:
    """What one judge says of the class that was there, and of the one that was aimed at."""
    changes = {change.label: change for change in (one.source, one.target) if change is not None}
    return [
        {
            "judge": one.judge, "class": label, "before": change.before, "after": change.after,
            "control": sum(change.control) / len(change.control) if change.control else None,
            "control_low": min(change.control, default=None),
            "control_high": max(change.control, default=None), "n": len(change.control),
        }
        for label, change in changes.items()
    ]  # fmt: skip
