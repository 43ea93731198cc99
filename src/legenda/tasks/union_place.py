"""Where in an atlas the units are that several systems speak of, and how rows are renewed.

What only several systems together can say is said of units that an earlier study has put there.
Where none has, it is made now, as small as it can be; and what an earlier one knew of a unit stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from legenda.atlas.entries import UnitEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_model, put_set, put_units
from legenda.core.explanation import Score
from legenda.core.units import Units
from legenda.models.vq import VQ
from legenda.tasks.atlas_concepts import ConceptSettings, gather_concepts
from legenda.tasks.atlas_latents import gather_latents
from legenda.tasks.atlas_models import model_entry, set_entry
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.reading import Reader
from legenda.tasks.run_identity import dictionary_digest
from legenda.types import Tokens

Report = Callable[[str, int, int], None]
FEW = ConceptSettings(exemplars=3, unnamed=0, pictures=0)
"""Concepts that were not gathered yet come with this much."""
LESS = LatentSettings(frames=6, rows=12, pool=128)
"""And latents with this much."""
SET = """SELECT s.id FROM sets s JOIN models m ON m.id = s.model
  WHERE s.digest = ? AND m.digest = ? AND s.kind = ? ORDER BY s.id LIMIT 1"""


def concepts_in(
    atlas: Atlas, folder_ref: str, reader: Reader, device: str, report: Report
) -> tuple[int, dict[int, int]]:
    """The set of a folder's concepts, and its units by number; gathered where it is not there."""
    model: Any = reader.model
    weights = model_entry(getattr(model, "dual", model)).digest
    key = dictionary_digest(reader.dictionary), weights, "concept"
    found = atlas.value(SET, *key)
    if found is None:
        gather_concepts(atlas, folder_ref, settings=FEW, device=device, report=report)
        found = atlas.value(SET, *key)
    return found, numbered(atlas, found)


def tokens_in(atlas: Atlas, vq: VQ, tokens: Tokens) -> tuple[int, dict[int, int]]:
    """The set of the tokens of a model, and its units by number; made where it is not there."""
    about, size = model_entry(vq, "tokens"), len(vq.codebook)
    found = atlas.value(SET, dictionary_digest(vq.codebook), about.digest, "token")
    with atlas.writing():
        if found is None:
            found = put_set(atlas, set_entry(put_model(atlas, about), vq.codebook, "token"))
        there = numbered(atlas, found)
        if len(there) < size:
            cells = tokens.flatten().cpu().bincount(minlength=size).tolist()
            put_units(atlas, [bare(found, i, cells[i]) for i in range(size) if i not in there])
    return found, numbered(atlas, found)


def latents_in(
    atlas: Atlas, units: Units, ref: str, device: str, report: Report
) -> tuple[int, dict[int, int]]:
    """The set of a model's latents, and its units by number; gathered where it is not there."""
    key = dictionary_digest(units.dictionary), model_entry(units.model).digest, "latent"
    found = atlas.value(SET, *key)
    if found is None:
        gather_latents(atlas, ref, settings=LESS, device=device, report=report)
        found = atlas.value(SET, *key)
    return found, numbered(atlas, found)


def bare(set_id: int, token: int, cells: int) -> UnitEntry:
    """A token of which no more is known than how often it was seen; surveys tell which are dead."""
    return UnitEntry(set_id, token, f"token {token}", facts={"cells": cells})


def numbered(atlas: Atlas, set_id: int) -> dict[int, int]:
    """The rows of the units of a set, by their numbers."""
    rows = atlas.all("SELECT number, id FROM units WHERE set_id = ?", set_id)
    return {row["number"]: row["id"] for row in rows}


def changed(atlas: Atlas, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Change some fields of units, by row; facts are added, and all else stays as it was."""
    rows = []
    for unit, fields in changes.items():
        there = known(atlas, unit)
        facts = {**there.facts, **fields.get("facts", {})}
        rows.append(replace(there, **{**fields, "facts": facts}))
    put_units(atlas, rows)


def known(atlas: Atlas, unit: int) -> UnitEntry:
    """What legenda holds of a unit, beneath a person's name."""
    row = atlas.one(
        "SELECT u.*, coalesce(c.state, u.state) AS judged FROM units u "
        "LEFT JOIN corrections c ON c.unit = u.id WHERE u.id = ?", unit,
    )  # fmt: skip
    assert row is not None, "units are looked up before they are changed"
    return UnitEntry(
        row["set_id"], row["number"], row["label"], row["judged"], row["said"], row["why"],
        row["certainty"], row["low"], row["high"], row["score"], loaded(row["facts"]),
    )  # fmt: skip


def command(what: str, ref: str) -> str:
    """What makes a study again: of models that ship without more, of others with their files."""
    if ref.startswith("zoo:"):
        return f"legenda union ATLAS {what}"
    files = "--pairs=PAIRS" if what == "behind" else "--images=IMAGES --labels=LABELS"
    return f"legenda union ATLAS {what} --model={ref} {files}"


def line(score: Score, **named: Any) -> dict[str, Any]:
    """A score as one line of a table; what has no ends has no interval."""
    low, high = score.control_interval or (None, None)
    said = {
        **named, "value": score.value, "low": score.interval[0], "high": score.interval[1],
        "control": score.control, "control_low": low, "control_high": high, "n": score.n,
    }  # fmt: skip
    return {k: v if not isinstance(v, float) or isfinite(v) else None for k, v in said.items()}
