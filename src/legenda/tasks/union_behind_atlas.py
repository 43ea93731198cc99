"""Which named concepts lie behind the maps of pictures and sentences, brought into an atlas.

Every pair gets its map in nats and the concepts behind it (`union_behind`), each beside its chance;
the nats stand beside the units that are on at each patch. Over all pairs: how often is the concept
that is ranked first one that the sentence names, and how often where the nats are dealt to patches
by lot? A word is named where the sentence has it, or where the caller says that it is true of what
the sentence names (a house is a building).

Pairs are written as they are done; what was written is not made again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from legenda.agreement import opened
from legenda.atlas.entries import EvidenceEntry, ExplanationEntry, Said, StudyEntry
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import end_study, put_picture, put_result, put_study
from legenda.atlas.writer import Writer
from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput
from legenda.models.dual import Dual
from legenda.tasks.atlas_concept_pictures import Shown, encoded
from legenda.tasks.atlas_models import held, model_entry, provenance, target_key
from legenda.tasks.atlas_pictures import (
    codes_entry,
    frame_of,
    picture_entry,
    put_codes,
    reading,
    with_nats,
)
from legenda.tasks.reading import Reader
from legenda.tasks.run_identity import dictionary_digest
from legenda.tasks.union_behind import Behind, behind, first_by_lot, fitted
from legenda.tasks.union_behind_table import summed
from legenda.tasks.union_maps import Mapped, mapped
from legenda.tasks.union_place import Report, command, concepts_in

BATCH, DEALT, KEPT = 8, 100, 8


def gather_behind(
    atlas: Atlas,
    folder_ref: str,
    pictures: Sequence[Shown],
    sentences: Sequence[str],
    *,
    also: Sequence[Sequence[str]] = (),
    seeds: Sequence[int] = (0, 1, 2),
    seed: int = 0,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Find the concepts behind maps, into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a pair that it holds is not made again.
    folder_ref: of named concepts of a dual encoder, such as zoo:scenes.
    pictures, sentences: one sentence for each picture.
    also: of each sentence, other words that are true of what it names.
    seeds: of the noise of maps; more make intervals honest, at as much more cost.
    seed: of intervals and controls.
    report: progress.
    """
    clock, also = perf_counter(), also or [()] * len(sentences)
    checked(pictures, sentences, also, seeds)
    reader = Reader.of(folder_ref, device)
    if not reader.words:
        raise BadInput(f"no concept of {folder_ref} has a name. Name them with `legenda name` first.")  # fmt: skip # noqa: E501
    dual = opened(str(reader.model.ref).rpartition("@")[0], device=device)
    entry = entry_of(reader, dual, folder_ref, pictures, sentences, also, seeds, seed, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    set_id, ids = concepts_in(atlas, folder_ref, reader, device, report)
    study = put_study(atlas, entry)
    keys = [target_key(entry, i) for i in range(len(pictures))]
    left = [i for i, key in enumerate(keys) if key not in atlas]
    with Writer(atlas, study) as writer:
        for start in range(0, len(left), BATCH):
            some = left[start : start + BATCH]
            pairs = [Pair(keys[i], pictures[i], sentences[i], tuple(also[i])) for i in some]
            for pair, found in zip(pairs, explained(reader, dual, pairs, seeds, seed), strict=True):
                writer.add(written(atlas, set_id, ids, pair, found))
            report("looking behind maps", min(start + BATCH, len(left)), len(left))
    with atlas.writing():
        title = f"Concepts of {folder_ref} behind {len(pictures)} maps"
        put_result(atlas, study, "importance", "behind", title, summed(atlas, study, keys))
        end_study(atlas, study, perf_counter() - clock)
    return study


def checked(
    pictures: Sequence[Any], sentences: Sequence[str], also: Sequence[Any], seeds: Sequence[int]
) -> None:
    """Refuse pairs that do not pair up."""
    if not pictures or len({len(pictures), len(sentences), len(also)}) > 1:
        raise BadInput(
            f"concepts behind maps need a sentence for each picture; it got {len(pictures)} "
            f"pictures, {len(sentences)} sentences and {len(also)} lists of other words."
        )
    if not seeds or len(set(seeds)) < len(seeds):
        raise BadInput(f"maps are fitted with one seed or more, all different; it got {list(seeds)}.")  # fmt: skip # noqa: E501


def entry_of(
    reader: Reader, dual: Dual, folder_ref: str, pictures: Sequence[Shown],
    sentences: Sequence[str], also: Sequence[Sequence[str]], seeds: Sequence[int], seed: int,
    device: str,
) -> StudyEntry:  # fmt: skip
    """What the study is, and how to make it again."""
    about = model_entry(dual)
    asked = [
        [key_of(picture_entry(*one).data.hex()), said, sorted(more)]
        for one, said, more in zip(pictures, sentences, also, strict=True)
    ]
    settings = {
        "model": about.ref, "weights": about.digest, "method": "m2ib", "pairs": asked,
        "dictionary": dictionary_digest(reader.dictionary), "names": sorted(reader.words.items()),
        "seeds": list(seeds), "seed": seed,
    }  # fmt: skip
    title = f"Which concepts of {folder_ref} lie behind its maps"
    return StudyEntry("behind", title, settings, provenance(device), command("behind", folder_ref))


class Pair(NamedTuple):
    """A picture with its sentence, the key of both, and what else is true of what it names."""

    key: str
    shown: Shown
    sentence: str
    also: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """What lies behind the map of a pair.

    Parameters
    ----------
    view, grid: how the model looks at the picture, and where its concepts lie.
    mapped: its maps; `laid` is their mean on the grid of the concepts.
    codes: which concepts are on, and where.
    behind: the named ones, the first ranked first.
    right: whether the first is named by the sentence.
    by_lot: how often that is so where the nats are dealt by lot, of `DEALT` times.
    """

    view: Preprocess
    grid: tuple[int, int]
    mapped: Mapped
    laid: Float[Tensor, " n"]
    codes: Codes
    behind: list[Behind]
    right: bool
    by_lot: int


def explained(
    reader: Reader, dual: Dual, pairs: Sequence[Pair], seeds: Sequence[int], seed: int
) -> Iterator[Found]:
    """Look behind the maps of some pairs."""
    pictures, grid = [pair.shown.picture for pair in pairs], tuple(reader.model.grid)
    maps = mapped(dual, pictures, [pair.sentence for pair in pairs], seeds)
    codes = encoded(reader, pictures)
    for row, (pair, one) in enumerate(zip(pairs, maps, strict=True)):
        own = Codes(codes.index[row : row + 1], codes.weight[row : row + 1], codes.size)
        laid, true = fitted(one.maps, grid), {*pair.sentence.lower().split(), *pair.also}
        best = behind(laid, own, reader.words, count=KEPT, seed=seed)
        lots = first_by_lot(laid, own, reader.words, DEALT, seed)
        right = bool(best) and named_by(best[0].word or "", true)
        by_lot = sum(named_by(word, true) for word in lots)
        yield Found(dual.preprocess, grid, one, laid.mean(0), own, best, right, by_lot)


def named_by(word: str, true: set[str]) -> bool:
    """Whether a concept's name is among the words, whole, or each of its own."""
    return bool(word) and (word in true or set(word.split()) <= true)


def written(
    atlas: Atlas, set_id: int, ids: dict[int, int], pair: Pair, found: Found
) -> ExplanationEntry:
    """One pair as it is kept; its nats stand beside the units of the same patches."""
    kept = picture_entry(*pair.shown)
    picture = put_picture(atlas, kept)
    frame = frame_of(found.view, pair.shown.picture.size, kept)
    there = reading(atlas, set_id, picture)
    if there is None or "nats" not in there.arrays:  # else another sentence stands for the picture
        codes = with_nats(codes_entry(found.codes, found.grid, frame), found.laid, f"of {pair.sentence!r}")  # fmt: skip # noqa: E501
        put_codes(atlas, set_id, {picture: codes})
    drawn = found.mapped.maps.mean(0).float().contiguous()
    facts = {"grid": list(drawn.shape), "frame": frame, "unit": "nats", "words": []}
    said = {
        "sentence": pair.sentence, "behind": [rowed(one, ids[one.unit]) for one in found.behind],
        "named first": found.right, "by lot": found.by_lot, "lots": DEALT, **found.mapped.facts,
    }  # fmt: skip
    return ExplanationEntry(
        pair.key, f"concepts behind {pair.sentence!r}", "InformationBottleneck and concepts", None,
        picture, EvidenceEntry("attribution", {"map": drawn}, facts),
        tuple(Said(one.word or f"concept {one.unit}", "nats of the map") for one in found.behind),
        tuple(score_of(one) for one in found.behind[:1]), said,
    )  # fmt: skip


def score_of(one: Behind) -> Score:
    """The nats of a concept beside chance."""
    above = tuple(end + one.chance for end in one.interval)
    return Score(
        f"nats behind {one.word}", one.nats, (above[0], above[1]), 1, True, one.chance,
        (one.chance - 1.96 * one.spread, one.chance + 1.96 * one.spread), "nats",
    )  # fmt: skip


def rowed(one: Behind, unit: int) -> dict[str, Any]:
    """One concept behind a map."""
    return {
        "unit": unit, "name": one.word, "nats": one.nats, "chance": one.chance,
        "excess": one.excess, "low": one.interval[0], "high": one.interval[1],
        "standing": one.standing,
    }  # fmt: skip
