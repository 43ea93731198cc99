"""Pictures of concepts: what turns each unit on, where, and what else is in the picture."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from legenda.atlas.entries import EvidenceEntry, PictureEntry
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_exemplars, put_picture
from legenda.core.codes import Codes
from legenda.core.model import prefix_of
from legenda.corpus.pictures import Pictures, from_source
from legenda.corpus.stream import evenly
from legenda.errors import LegendaError
from legenda.tasks.atlas_pictures import codes_entry, frame_of, picture_entry, put_codes
from legenda.tasks.concept_folder import ConceptFolder
from legenda.tasks.exemplars import load
from legenda.tasks.reading import Reader

Report = Callable[[str, int, int], None]
BATCH = 16
SCENES = "zoo:scenes"


class Shown(NamedTuple):
    """A picture that is to be read."""

    picture: Image.Image
    source: str
    caption: str = ""


class Wanted(NamedTuple):
    """An exemplar: a unit, its rank, and the number of a picture in the corpus."""

    unit: int
    rank: int
    strength: float


@dataclass
class Looked:
    """What was seen.

    Parameters
    ----------
    pictures: with the codes of each, by the order in which they were looked at.
    exemplars: of each unit: rank, picture (by that order), strength and map.
    """

    pictures: list[tuple[PictureEntry, EvidenceEntry | None]] = field(default_factory=list)
    exemplars: dict[int, list[tuple[int, int, float, Tensor | None]]] = field(default_factory=dict)


def corpus_of(folder: ConceptFolder) -> Pictures | None:
    """The pictures of a folder's survey; None where they are not here."""
    name = folder.name
    with suppress(LegendaError):
        if name == SCENES:
            from legenda.zoo.scenes.concept_pictures import TRAIN, DrawnScenes

            return DrawnScenes(TRAIN, 4000)
        if name == "zoo:photos":
            from legenda.zoo.photos.concept_pictures import ConceptPictures

            return ConceptPictures("train")
        return from_source(folder.origin.images)
    return None


def looked(
    folder: ConceptFolder, reader: Reader, corpus: Pictures | None, how: Any,
    shown: Sequence[Shown], report: Report,
) -> Looked:  # fmt: skip
    """Look at the exemplars of units, at some pictures of the corpus, and at those that are shown."""  # noqa: E501
    wanted = asked(reader, corpus, how)
    found, total = Looked(), len(wanted) + len(shown)
    for batch in grouped(stream(corpus, wanted, shown)):
        codes = encoded(reader, [one.picture for one, _ in batch])
        for row, (one, units) in enumerate(batch):
            alone = Codes(codes.index[row : row + 1], codes.weight[row : row + 1], codes.size)
            see(found, reader, one, alone, units)
        report("looking at pictures", len(found.pictures), total)
    if corpus is None:
        tiles(found, folder, reader)
    return found


def asked(reader: Reader, corpus: Pictures | None, how: Any) -> dict[int, list[Wanted]]:
    """Pictures of the corpus by number, with the units that each is an exemplar of."""
    if corpus is None:
        return {}
    wanted: dict[int, list[Wanted]] = {i: [] for i in evenly(len(corpus), min(how.pictures, len(corpus)))}  # fmt: skip # noqa: E501
    survey = reader.survey
    if survey is None:
        return wanted
    place = {key: i for i, key in enumerate(corpus.key(i) for i in range(len(corpus)))}
    for unit in range(len(survey)):
        most = how.exemplars if unit in reader.words else how.unnamed
        rows = zip(survey.exemplars.image[unit].tolist(), survey.exemplars.value[unit].tolist(), strict=True)  # fmt: skip # noqa: E501
        there = [(place[survey.keys[i]], v) for i, v in rows if i >= 0 and survey.keys[i] in place]
        best = dict(reversed(there))  # of several places in one picture the strongest
        for rank, i in enumerate(list(dict.fromkeys(i for i, _ in there))[:most]):
            wanted.setdefault(i, []).append(Wanted(unit, rank, float(best[i])))
    return wanted


def stream(
    corpus: Pictures | None, wanted: dict[int, list[Wanted]], shown: Sequence[Shown]
) -> Iterator[tuple[Shown, list[Wanted]]]:
    """Every picture that is looked at; one that cannot be read is left out."""
    for one in shown:
        yield one, []
    for i in sorted(wanted):
        assert corpus is not None, "pictures are asked of a corpus"
        with suppress(LegendaError):
            yield Shown(corpus.open(i), corpus.key(i), corpus.label(i) or ""), wanted[i]


def grouped(items: Iterator[Any]) -> Iterator[list[Any]]:
    """A few at a time."""
    held: list[Any] = []
    for item in items:
        held.append(item)
        if len(held) == BATCH:
            yield held
            held = []
    if held:
        yield held


@torch.no_grad()
def encoded(reader: Reader, pictures: Sequence[Image.Image]) -> Codes:
    """The codes of some pictures, of their patches alone."""
    prefix = prefix_of(reader.model, reader.model.pixels(list(pictures)))
    acts = prefix.acts[:, (prefix.valid & ~prefix.special)[0]]
    return reader.dictionary.encode(acts)


def see(
    found: Looked, reader: Reader, one: Shown, codes: Codes, units: Sequence[Wanted]
) -> None:  # fmt: skip
    """Keep one picture: what it is made of, and the maps of units that it is an exemplar of."""
    kept = picture_entry(one.picture, one.source, one.caption)
    grid = reader.model.grid or (1, codes.index.shape[1])
    frame = frame_of(reader.model.preprocess, one.picture.size, kept)
    number = len(found.pictures)
    found.pictures.append((kept, codes_entry(codes, grid, frame)))
    for want in units:
        drawn = codes.of(want.unit)[0].clamp(min=0).detach().cpu().float().view(grid)
        found.exemplars.setdefault(want.unit, []).append((want.rank, number, want.strength, drawn))


def tiles(found: Looked, folder: ConceptFolder, reader: Reader) -> None:
    """Where the pictures are not here, the tiles that ship: what is around each exemplar."""
    ship = load(folder.path)
    if ship is None or reader.survey is None:
        return
    for unit in sorted(ship.tiles):
        strengths = reader.survey.exemplars.value[unit].tolist()
        for rank, tile in enumerate(ship.of(unit)):
            found.exemplars.setdefault(unit, []).append((rank, len(found.pictures), float(strengths[rank]), None))  # fmt: skip # noqa: E501
            caption = f"what is around a place where concept {unit} is strong"
            found.pictures.append((picture_entry(tile, f"concept {unit}, tile {rank}", caption), None))  # fmt: skip # noqa: E501


def put_looked(atlas: Atlas, set_id: int, ids: Sequence[int], seen: Looked) -> None:
    """Pictures, what they are made of, and the exemplars of all units."""
    pictures = [put_picture(atlas, kept) for kept, _ in seen.pictures]
    read = {p: codes for p, (_, codes) in zip(pictures, seen.pictures, strict=True) if codes}
    put_codes(atlas, set_id, read)
    rows = {unit: sorted(found, key=lambda one: one[0]) for unit, found in seen.exemplars.items()}
    maps = {unit: maps_of(seen, found) for unit, found in rows.items()}
    kept = [unit for unit, entry in maps.items() if entry is not None]
    evidence = dict(zip(kept, put_evidence(atlas, [e for e in maps.values() if e]), strict=True))
    for unit, found in rows.items():
        best = [(pictures[number], strength) for _, number, strength, _ in found]
        put_exemplars(atlas, ids[unit], best, evidence.get(unit))


def maps_of(seen: Looked, found: Sequence[Any]) -> EvidenceEntry | None:
    """Where a unit is on in its exemplars, and where the grid lies on each picture."""
    maps = [drawn for *_, drawn in found if drawn is not None]
    if not maps:
        return None
    codes = [seen.pictures[number][1] for _, number, _, _ in found]
    facts = {"grid": list(maps[0].shape), "unit": "activation"}
    frames = [one.facts["frame"] for one in codes if one is not None]
    return EvidenceEntry("exemplars", {"maps": torch.stack(maps)}, {**facts, "frames": frames})
