"""Why pictures and sentences agree, brought into an atlas: maps in nats, and how faithful they are.

Every pair gets the map of its patches and of its words, the cosine, and a warning where the pair
does not match at all. Of each picture the first sentence is the one that stands for it: its map is
scored beside shuffled maps, its nats stand beside the units that are on at each patch, and curves
over all pictures say how the cosine falls as the patches go that the map puts first.

Pairs are written as they are done. What was written is not made again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from legenda.agreement import Agreement, explanations, judged, opened
from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    PictureEntry,
    StudyEntry,
)
from legenda.atlas.keys import key_of
from legenda.atlas.store import Atlas
from legenda.atlas.write import end_study, put_model, put_picture, put_result, put_study
from legenda.atlas.writer import Writer
from legenda.errors import BadInput
from legenda.models.dual import Dual
from legenda.tasks.atlas_concept_pictures import Shown
from legenda.tasks.atlas_curves import curves_of
from legenda.tasks.atlas_models import held, model_entry, provenance, target_key
from legenda.tasks.atlas_pictures import frame_of, picture_entry, put_codes, reading, with_nats
from legenda.tasks.run_kept import finite
from legenda.tasks.word_maps import MOST, word_maps

Report = Callable[[str, int, int], None]
RANDOMS, BATCH = 8, 16
"""Shuffled maps that each scored one is held against, and pairs that are explained at once."""


class Pair(NamedTuple):
    """A picture and one of its sentences: `first` stands for the picture."""

    shown: Shown
    kept: PictureEntry
    sentence: str
    first: bool
    key: str


def gather_agreement(
    atlas: Atlas,
    model_ref: str,
    pictures: Sequence[Shown],
    sentences: Sequence[Sequence[str]],
    *,
    randoms: int = RANDOMS,
    curves: bool = True,
    seed: int = 0,
    device: str = "cpu",
    report: Report = lambda *_: None,
) -> int:
    """Explain pictures by sentences into an atlas; the number of the study.

    Parameters
    ----------
    atlas: opened to write; a pair that it holds is not explained again.
    model_ref: of a dual encoder.
    pictures, sentences: of each picture the sentences, the one that stands for it first.
    randoms: shuffled maps beside those that are scored; more know the control better, 0 scores none.
    curves: whether the patches are taken away, and put back, one share after another.
    seed: of what is shuffled.
    report: progress.
    """  # noqa: E501
    began = perf_counter()
    checked(pictures, sentences, randoms)
    dual = opened(model_ref, device=device)
    pairs, entry = planned(dual, pictures, sentences, randoms, curves, seed, device)
    there = held(atlas, entry)
    if there is not None:
        return there
    with atlas.writing():
        study = put_study(atlas, entry)
        put_model(atlas, about(dual))
    made = explained(atlas, study, dual, pairs, randoms, seed, report)
    if curves:
        firsts = [p for p in pairs if p.first]
        missing = [p for p in firsts if p.key not in made]
        made |= dict(zip((p.key for p in missing), plainly(dual, missing), strict=True))
        results = curves_of(dual, [made[p.key] for p in firsts], seed, report)
    with atlas.writing():
        for key, title, content in results if curves else ():
            put_result(atlas, study, "faithfulness", key, title, content)
        end_study(atlas, study, perf_counter() - began)
    return study


def checked(
    pictures: Sequence[Shown], sentences: Sequence[Sequence[str]], randoms: int
) -> None:  # fmt: skip
    """Refuse pictures without sentences, and sentences without pictures."""
    if not pictures or len(pictures) != len(sentences) or not all(sentences):
        raise BadInput(
            f"an agreement needs pictures, and for each of them one sentence or more; it got "
            f"{len(pictures)} pictures and {len(sentences)} lists of sentences, "
            f"{sum(not some for some in sentences)} of them empty. Give a list for each picture."
        )
    if randoms < 0:
        raise BadInput(f"maps are held against 0 shuffled ones or more; it got {randoms}.")


def about(dual: Dual) -> ModelEntry:
    """The model, opened at the sites that its maps are of."""
    towers = [str(getattr(tower, "ref", "")).rpartition("@")[2] for tower in (dual.image, dual.text)]  # fmt: skip # noqa: E501
    return model_entry(dual, f"image={towers[0]},text={towers[1]}")


def planned(
    dual: Dual, pictures: Sequence[Shown], sentences: Sequence[Sequence[str]], randoms: int,
    curves: bool, seed: int, device: str,
) -> tuple[list[Pair], StudyEntry]:  # fmt: skip
    """Every pair with its key, and what the study is."""
    kept = [picture_entry(*one) for one in pictures]
    model = about(dual)
    asked = [[key_of(k.data.hex()), *some] for k, some in zip(kept, sentences, strict=True)]
    settings = {
        "model": model.ref, "weights": model.digest, "site": model.site,
        "preprocess": repr(dual.preprocess), "pairs": asked, "randoms": randoms, "curves": curves,
        "method": "m2ib", "words": MOST, "seed": seed,
    }  # fmt: skip
    many = sum(map(len, sentences))
    title = f"Why {many} pairs of pictures and sentences agree, by {model.ref}"
    command = f"legenda gather ATLAS agreement --model={model.ref}"
    entry = StudyEntry("agreement", title, settings, provenance(device), command)
    pairs = [
        Pair(one, k, said, number == 0, target_key(entry, key_of(k.data.hex()), said))
        for one, k, some in zip(pictures, kept, sentences, strict=True)
        for number, said in enumerate(some)
    ]
    return pairs, entry


def explained(
    atlas: Atlas, study: int, dual: Dual, pairs: Sequence[Pair], randoms: int, seed: int,
    report: Report,
) -> dict[str, Agreement]:  # fmt: skip
    """Explain what the atlas does not hold, and write it as it is done."""
    left = [pair for pair in pairs if pair.key not in atlas]
    made: dict[str, Agreement] = {}
    with Writer(atlas, study) as writer:
        for done, (pair, found) in enumerate(zip(left, plainly(dual, left), strict=True), 1):
            if pair.first and randoms:
                found = replace(found, scores=judged(dual, found, randoms, seed))
            picture = put_picture(atlas, pair.kept)
            frame = frame_of(dual.preprocess, pair.shown.picture.size, pair.kept)
            if pair.first:
                beside_codes(atlas, picture, found)
            mapped = word_maps(dual, found) if pair.first else ([], None)
            writer.add(entry_of(pair, picture, found, frame, *mapped))
            made[pair.key] = found
            report("explaining pairs", done, len(left))
    return made


def plainly(dual: Dual, pairs: Sequence[Pair]) -> Iterator[Agreement]:
    """Pairs explained, not scored; one picture is prepared once in a batch."""
    if not pairs:
        return iter(())
    pictures, texts = [p.shown.picture for p in pairs], [p.sentence for p in pairs]
    return explanations(dual, pictures, texts, score=False, batch=BATCH)


def entry_of(
    pair: Pair, picture: int, found: Agreement, frame: list[float], mapped: list[int],
    maps: Tensor | None,
) -> ExplanationEntry:  # fmt: skip
    """One pair as it is kept, with the maps of the words that were asked about."""
    drawn = found.image.map()[0].detach().cpu().float().contiguous()
    arrays = {"map": drawn, "words": torch.tensor([word.score for word in found.words])}
    facts = {
        "grid": list(drawn.shape), "frame": frame, "unit": found.unit,
        "words": [word.text for word in found.words],
    }  # fmt: skip
    if mapped and maps is not None:
        arrays["word_maps"], facts["mapped"] = maps, mapped
    return ExplanationEntry(
        pair.key, f"similar to {pair.sentence!r}", "InformationBottleneck", None, picture,
        EvidenceEntry("attribution", arrays, facts), (), found.scores, figures(found),
    )  # fmt: skip


def figures(found: Agreement) -> dict[str, Any]:
    """The numbers of a pair, and whether it matches at all."""
    said: dict[str, Any] = {"sentence": found.sentence, **found.figures}
    if found.match is not None:
        said |= {
            "flagged": found.match.flagged, "standing": found.match.standing,
            "least": found.match.threshold, "references": found.match.references,
        }  # fmt: skip
        if found.match.flagged:
            said["warning"] = (
                f"the cosine {found.figures['cosine']:.2f} stands out by "
                f"{found.match.standing:.1f} among {found.match.references} sentences, and a match "
                f"begins at {found.match.threshold:.1f}: what the map explains is hardly there"
            )
    return finite(said)


def beside_codes(atlas: Atlas, picture: int, found: Agreement) -> None:
    """Put the nats of a map beside the units of the same positions."""
    nats = found.image.map()[0].flatten()
    if found.unit != "nats" or not all(map(isfinite, nats.tolist())):
        return
    for row in atlas.all("SELECT set_id FROM readings WHERE picture = ?", picture):
        codes = reading(atlas, row["set_id"], picture)
        if codes is not None and list(found.image.map().shape[1:]) == codes.facts.get("grid"):
            entry = with_nats(codes, nats, f"of {found.sentence!r}")
            put_codes(atlas, row["set_id"], {picture: entry})
