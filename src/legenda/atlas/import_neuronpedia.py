"""Features of Neuronpedia as we write them, brought back as units."""

import base64
import binascii
from pathlib import Path
from typing import TypeVar

import torch

from legenda.atlas import neuronpedia as theirs
from legenda.atlas.corrections import rename
from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    PictureEntry,
    Said,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.importing import apart, check_picture, told
from legenda.atlas.merge import Merged, merge
from legenda.atlas.store import Atlas
from legenda.atlas.write import (
    put_exemplars,
    put_model,
    put_picture,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score
from legenda.corpus.durable import room
from legenda.errors import BadInput

UNKNOWN = float("nan")
T = TypeVar("T")


def import_neuronpedia(atlas: Atlas, path: Path) -> Merged:
    """Bring back what `export_neuronpedia` wrote."""
    with told(path), room(path):
        file = theirs.parsed(path.read_bytes())
    with apart() as fresh:
        with told(path), fresh.writing():
            _restore(fresh, file)
        return merge(atlas, fresh)


def _restore(fresh: Atlas, file: theirs.File) -> None:
    sets = [_source(fresh, one) for one in file.sources]
    studies = [
        put_study(fresh, StudyEntry(s.kind, s.title, s.settings, s.provenance, s.command))
        for s in file.studies
    ]
    pictures = [_picture(fresh, one) for one in file.pictures]
    writers = [Writer(fresh, study) for study in studies]
    for i, feature in enumerate(file.features):
        where = f"features.{i}"
        unit = put_units(fresh, [_unit(feature, _at(sets, feature.source, where), where)])[0]
        _exemplars(fresh, unit, feature, pictures, where)
        for one in feature.explanations:
            _at(writers, one.study, where).add(_explanation(one, unit))
        if feature.correction:
            rename(fresh, unit, feature.correction.name, feature.correction.by, feature.correction.at)  # noqa: E501 # fmt: skip
    for writer in writers:
        writer.flush()


def _source(fresh: Atlas, one: theirs.Source) -> int:
    model = ModelEntry(one.modelId, one.name, one.layer, one.revision, one.digest, one.card)
    number = put_model(fresh, model)
    entry = SetEntry(number, one.dictionary, one.kind, one.size, one.atoms, one.dictionaryCard)
    return put_set(fresh, entry)


def _picture(fresh: Atlas, one: theirs.Picture) -> int:
    try:
        data = base64.b64decode(one.data, validate=True)
    except binascii.Error:
        raise BadInput(f"picture {one.digest} is no base64. Export it again.") from None
    check_picture({**one.model_dump(), "data": data})
    return put_picture(
        fresh, PictureEntry(one.source, one.caption, one.width, one.height, one.media, data)
    )


def _unit(one: theirs.Feature, set_id: int, where: str) -> UnitEntry:
    if not one.index.isdecimal() or len(one.index) > 18:
        raise BadInput(f"{where}.index: {one.index!r} is no number of a unit. Export it again.")
    return UnitEntry(
        set_id, int(one.index), one.label, one.state, one.said, one.why, one.certainty, one.low,
        one.high, one.score, one.facts,
    )  # fmt: skip


def _exemplars(
    fresh: Atlas, unit: int, one: theirs.Feature, pictures: list[int], where: str
) -> None:
    found = [(_at(pictures, a.picture, where), a.maxValue) for a in one.activations]
    maps = [a.values for a in one.activations if a.values is not None]
    evidence = None
    if one.mapFacts is not None and maps and len(maps) == len(found):
        if len({(len(m), len(row)) for m in maps for row in m}) != 1:
            raise BadInput(f"{where}.activations: the maps have different sizes. Export it again.")
        entry = EvidenceEntry("exemplars", {"maps": torch.tensor(maps)}, one.mapFacts)
        evidence = put_evidence(fresh, [entry])[0]
    if found:
        put_exemplars(fresh, unit, found, evidence)


def _explanation(one: theirs.Explained, unit: int) -> ExplanationEntry:
    said = tuple(Said(**c.model_dump()) for c in one.candidates)
    scores = tuple(_score(s) for s in one.scores)
    return ExplanationEntry(
        one.key, one.target, one.typeName, unit, None, None, said, scores, one.facts
    )


def _score(s: theirs.Scored) -> Score:
    value, low, high = (UNKNOWN if v is None else v for v in (s.value, s.low, s.high))
    beside = None
    if s.controlLow is not None and s.controlHigh is not None:
        beside = (s.controlLow, s.controlHigh)
    return Score(s.name, value, (low, high), s.n, s.higherIsBetter, s.control, beside, s.unit)


def _at(things: list[T], place: int, where: str) -> T:
    if not 0 <= place < len(things):
        raise BadInput(f"{where} points at number {place} of {len(things)}. Export it again.")
    return things[place]
