"""An audit as a plain dict, which `audit.json` holds and `--json` prints; see `audit_page`."""

from typing import Any

from legenda.audit.difference import Differing
from legenda.audit.lean import Lean
from legenda.core.explanation import Score
from legenda.show.tokens import measure, ranked
from legenda.show.view import Plain, finite, score
from legenda.tasks.audit import Audited
from legenda.tasks.audit_findings import Flagged
from legenda.tasks.audit_groups import LEASTS, REFERENCE

SCHEMA = 1
CHANCE = 0.05
"""Neutral images are said to lean if no more random pairs of lists lean as far."""


def plain(found: Audited, command: str = "", **settings: Any) -> Plain:
    """Everything but pictures, ready for `json.dumps`; `settings` are said beside its own."""
    knows, answers = found.knowledge, found.answers
    return finite(
        {
            "schema": SCHEMA,
            "kind": "audit",
            "groups": list(found.groups),
            "images": {part: list(sizes) for part, sizes in found.images.items()},
            "concept_model": {
                "name": knows.name, "made": knows.made, "trained": knows.trained,
                "accuracy": score(knows.accuracy), "measured_on": knows.judged,
                "reference": knows.reference and score(knows.reference), "copies": knows.copies,
            },
            "lists": [{"group": one.concept, "tokens": ranked(one)} for one in found.lists],
            "shared": list(found.shared),
            "lean": answers.lean and lean(answers.lean),
            "silent": answers.silent,
            "shortcuts": shortcuts(found),
            "differing": answers.differing and differing(answers.differing),
            "refused": list(found.refused),
            "settings": {k: str(v) for k, v in {**found.settings, **settings}.items()},
            "command": command,
        }
    )  # fmt: skip


def lean(found: Lean) -> Plain:
    """Whose tokens neutral images hold."""
    low, high = found.interval
    return {
        "value": found.delta,
        "interval": [low, high],
        "n": found.n,
        "toward": found.groups[0 if found.delta > 0 else 1],
        "leans": not low <= 0 <= high and found.beyond <= CHANCE,
        "magnitude": found.magnitude,
        "wilcoxon": found.wilcoxon,
        "sign": found.sign,
        "beyond": found.beyond,
        "control": list(found.control_interval),
        "control_mean": found.control_mean,
        "lists": [list(one) for one in found.lists],
        "shared": list(found.shared),
    }


def shortcuts(found: Audited) -> Plain | None:
    """What was flagged, and all that was tested."""
    tested = found.answers.shortcuts
    if tested is None:
        return None
    return {
        "images": list(tested.images),
        "tested": int((~tested.adjusted.isnan()).sum()),
        "least": LEASTS[REFERENCE] // 2,
        "control": tested.control,
        "flagged": [flagged(one) for one in found.answers.flagged],
        "tokens": {
            "token": tested.tokens.tolist(), "delta": tested.delta.tolist(),
            "p": tested.p.tolist(), "adjusted": tested.adjusted.tolist(),
            "shares": tested.shares.tolist(),
        },
    }  # fmt: skip


def flagged(one: Flagged) -> Plain:
    """A flagged token in numbers."""
    return {
        "token": one.token,
        "toward": one.toward,
        "value": one.delta,
        "interval": list(one.interval),
        "chance": list(one.chance),
        "adjusted": one.adjusted,
        "before": [measure(share) for share in one.before],
        "shares": [measure(share) for share in one.shares],
        "owed": one.owed,
        "substitute": one.substitute,
        "proof": proof(one.proof),
    }


def proof(one: Score) -> Plain:
    """A counterfactual in numbers."""
    return {**score(one), "beats_control": bool(one.beats_control)}


def differing(found: Differing) -> Plain:
    """The tokens that two groups hold unequally often, the surest first, some with an interval."""
    rows = found.differ
    columns = (found.tokens, found.delta, found.p, found.adjusted, found.present)
    keys = ("token", "value", "p", "adjusted", "images")
    tokens: list[Plain] = [
        dict(zip(keys, row, strict=True))
        for row in zip(*(column[rows].tolist() for column in columns), strict=True)
    ]
    for one, interval in zip(tokens, found.intervals.tolist(), strict=False):
        one["interval"] = interval
    return {
        "images": list(found.images), "tested": len(found.tokens), "control": found.control,
        "tokens": tokens,
    }  # fmt: skip
