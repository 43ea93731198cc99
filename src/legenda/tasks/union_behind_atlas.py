"""Which named concepts lie behind the maps of pictures and sentences, brought into an atlas.

Every pair gets its map in nats and the concepts behind it (`union_behind`), each beside its chance;
the nats stand beside the units that are on at each patch. Over all pairs: how often is the concept
that is ranked first one that the sentence names, and how often where the nats are dealt to patches
by lot? A word is named where the sentence has it, or where the caller says that it is true of what
the sentence names (a house is a building).

Pairs are written as they are done; what was written is not made again.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.agreement import begun, method_for, opened, pixels
from legenda.atlas.entries import EvidenceEntry, ExplanationEntry, Said, StudyEntry
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import end_study, put_picture, put_result, put_study
from legenda.atlas.writer import Writer
from legenda.core.codes import Codes
from legenda.core.explanation import Score
from legenda.core.interval import wilson
from legenda.errors import BadInput
from legenda.models.dual import Dual
from legenda.references import reference_for
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
from legenda.tasks.union_place import Report, command, concepts_in, line

BATCH, DEALT, KEPT = 8, 100, 8
FIRST = "first concept is named by the sentence"


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
            shown, said = [pictures[i] for i in some], [sentences[i] for i in some]
            maps, codes = nats(dual, shown, said, seeds), encoded(reader, [p.picture for p in shown])  # fmt: skip # noqa: E501
            for row, i in enumerate(some):
                one = Codes(codes.index[row : row + 1], codes.weight[row : row + 1], codes.size)
                words = {*sentences[i].lower().split(), *also[i]}
                made = explained(reader, dual, keys[i], shown[row], said[row], maps[row], one, words, seed)  # fmt: skip # noqa: E501
                writer.add(written(atlas, set_id, ids, made))
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


def nats(
    dual: Dual, shown: Sequence[Shown], sentences: Sequence[str], seeds: Sequence[int]
) -> Float[Tensor, "b s h w"]:
    """The maps of pairs, for each seed."""
    x = pixels(dual, [one.picture for one in shown])
    reference = reference_for(dual, [one.picture for one in shown], sentences)
    target, units, found = dual.similar_to_text(list(sentences)), begun(dual.image, x), []
    for seed in seeds:
        how = method_for(dual, "image", "m2ib", reference, {"seed": seed})
        found.append(how(units, x, target).map())
    return torch.stack(found, 1).detach().cpu().double()


def explained(
    reader: Reader, dual: Dual, key: str, shown: Shown, sentence: str,
    maps: Float[Tensor, "s h w"], codes: Codes, true: set[str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """One pair: its concepts, and what comes first by lot."""
    grid: Any = reader.model.grid
    laid = fitted(maps, grid)
    found = behind(laid, codes, reader.words, count=KEPT, seed=seed)
    lots = first_by_lot(laid, codes, reader.words, DEALT, seed)
    return {
        "key": key, "shown": shown, "sentence": sentence, "map": maps.mean(0), "laid": laid.mean(0),
        "codes": codes, "grid": grid, "view": dual.preprocess, "found": found,
        "right": bool(found) and named_by(found[0].word or "", true),
        "by lot": sum(named_by(word, true) for word in lots), "lots": len(lots),
    }  # fmt: skip


def named_by(word: str, true: set[str]) -> bool:
    """Whether a concept's name is among the words, whole, or each of its own."""
    return bool(word) and (word in true or set(word.split()) <= true)


def written(
    atlas: Atlas, set_id: int, ids: dict[int, int], made: dict[str, Any]
) -> ExplanationEntry:
    """One pair as it is kept; its nats stand beside the units of the same patches."""
    shown, found, sentence = made["shown"], made["found"], made["sentence"]
    kept = picture_entry(*shown)
    picture = put_picture(atlas, kept)
    frame = frame_of(made["view"], shown.picture.size, kept)
    there = reading(atlas, set_id, picture)
    if there is None or "nats" not in there.arrays:  # else another sentence stands for the picture
        codes = codes_entry(made["codes"], made["grid"], frame)
        put_codes(atlas, set_id, {picture: with_nats(codes, made["laid"], f"of {sentence!r}")})
    drawn = made["map"].float().contiguous()
    facts = {"grid": list(drawn.shape), "frame": frame, "unit": "nats", "words": []}
    scores = tuple(score_of(one) for one in found[:1])
    said = {
        "sentence": sentence, "behind": [rowed(one, ids[one.unit]) for one in found],
        "named first": made["right"], "by lot": made["by lot"], "lots": made["lots"],
    }  # fmt: skip
    return ExplanationEntry(
        made["key"], f"concepts behind {sentence!r}", "InformationBottleneck and concepts", None,
        picture, EvidenceEntry("attribution", {"map": drawn}, facts),
        tuple(Said(one.word or f"concept {one.unit}", "nats behind the map") for one in found),
        scores, said,
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


def summed(atlas: Atlas, study: int, keys: Sequence[str]) -> dict[str, Any]:
    """How often the first concept is one that the sentence names, and every pair's first."""
    rows = {
        row["key"]: (row["picture"], loaded(row["facts"]))
        for row in atlas.all("SELECT key, picture, facts FROM explanations WHERE study = ?", study)
    }
    pairs = [rows[key] for key in keys]
    right, n = sum(bool(facts["named first"]) for _, facts in pairs), len(pairs)
    lots, dealt = (sum(facts[name] for _, facts in pairs) for name in ("by lot", "lots"))
    score = Score(
        FIRST, right / n, wilson(right, n), n, True, lots / dealt,
        wilson(round(n * lots / dealt), n), "share of pairs",
    )  # fmt: skip
    firsts = [
        {"picture": picture, "sentence": facts["sentence"], **(facts["behind"] or [{}])[0]}
        for picture, facts in pairs
    ]
    table = [{k: v for k, v in one.items() if k not in ("standing",)} for one in firsts]
    return {"question": FIRST, **line(score), "pairs": table}
