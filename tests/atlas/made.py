"""A small atlas with one of everything: the contract between who writes and who shows."""
# ruff: noqa: E501

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    PictureEntry,
    RelationEntry,
    Said,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas
from legenda.atlas.write import (
    end_study,
    put_exemplars,
    put_failure,
    put_model,
    put_picture,
    put_reading,
    put_relations,
    put_result,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score

HOSTILE = '<script>alert(1)</script>\u202e" onerror=x {{ 7*7 }}'
CONCEPTS = ("animal", "cat", "dog", "fur", "", HOSTILE)


def encoded(seed: int, side: int = 48) -> bytes:
    """A picture of coloured squares."""
    draw = np.random.default_rng(seed)
    pixels = np.kron(draw.integers(0, 255, (6, 6, 3)), np.ones((side // 6, side // 6, 1)))
    held = io.BytesIO()
    Image.fromarray(pixels.astype("uint8")).save(held, "WEBP", quality=80)
    return held.getvalue()


def made(folder: str | Path, pictures: int = 6, seed: int = 0) -> Path:
    """Write the atlas; the same arguments give the same content."""
    noise = torch.Generator().manual_seed(seed)
    with Atlas(folder, write=True) as atlas:
        card = {"what": "a model of squares", "parameters": 1234, "licence": "CC0"}
        vae = put_model(atlas, ModelEntry("zoo:vae", "vae", "latents", "1", "aa" * 16, card))
        dual = put_model(atlas, ModelEntry("zoo:scenes", "scenes", "patches", "1", "bb" * 16, card))
        latents = put_set(atlas, SetEntry(vae, "latents", "latent", 3, "cc" * 16))
        concepts = put_set(
            atlas, SetEntry(dual, "matryoshka", "concept", 6, "dd" * 16, {"explained": 0.9})
        )
        tokens = put_set(atlas, SetEntry(vae, "codebook", "token", 2, "ee" * 16))
        units = put_units(atlas, [
            UnitEntry(latents, 0, "latent 0", "named", "size, small to large", "", .9, .8, .95, .97,
                      {"nats": 2.5, "effect": 0.1, "score": "right sheet among four"}),
            UnitEntry(latents, 1, "latent 1", "abstained", "", "its answers disagree", .2, .1, .3),
            UnitEntry(latents, 2, "latent 2", "inactive", "", "it says 0.001 nats of a picture"),
            *[UnitEntry(concepts, i, f"concept {i}", "named" if n else "dead", n, "", .5 + .05 * i,
                        .4, .95, .8 - .1 * i, {"fires": 100 - i, "score": "name check"})
              for i, n in enumerate(CONCEPTS)],
            UnitEntry(tokens, 0, "token 0", "named", "red ground", "", .7, .6, .8, .5),
            UnitEntry(tokens, 1, "token 1", "unread"),
        ])  # fmt: skip
        seen = [
            put_picture(atlas, PictureEntry(f"picture {i}", f"squares, number {i}", 48, 48,
                                            "image/webp", encoded(i)))
            for i in range(pictures)
        ]  # fmt: skip
        study = put_study(atlas, StudyEntry("latents", "The latents of zoo:vae",
            {"model": "zoo:vae", "rows": 24, "seed": seed}, {"legenda": "0.1.0", "torch": "2.13"},
            "legenda latents zoo:vae"))  # fmt: skip
        sheet = EvidenceEntry("sheet", {
            "images": (torch.rand(2, 5, 3, 16, 16, generator=noise) * 255).to(torch.uint8),
            "values": torch.linspace(-2, 2, 5)}, {"caption": "latent 0 from -2 to 2"})  # fmt: skip
        right = Score("right sheet among four", .97, (.8, 1.), 8, control=.25,
                      control_interval=(.1, .4))  # fmt: skip
        with Writer(atlas, study) as writer:
            writer.add(ExplanationEntry("latent 0", "latent 0", "Traversal", units[0], None, sheet,
                (Said("size grows from 3 to 9 pixels", "measured", .9, .8, .95),
                 Said("things grow", "lmm", .6)), (right,), {"effect": 0.1}))  # fmt: skip
            writer.add(ExplanationEntry("latent 1", "latent 1", "Traversal", units[1], None, sheet,
                (Said("", "measured", .2, .1, .3, "its answers disagree"),)))  # fmt: skip
        end_study(atlas, study, 4.0)
        other = put_study(atlas, StudyEntry("concepts", "The concepts of zoo:scenes",
            {"model": "zoo:scenes", "seed": seed}, {"legenda": "0.1.0"}, "legenda fit zoo:scenes"))  # fmt: skip
        for number, unit in enumerate(units[3:9]):
            maps = EvidenceEntry("exemplars", {"maps": torch.rand(4, 6, 6, generator=noise)},
                                 {"grid": [6, 6], "unit": "activation"})  # fmt: skip
            found = [(seen[(number + i) % pictures], 1.0 - 0.1 * i) for i in range(4)]
            put_exemplars(atlas, unit, found, put_evidence(atlas, [maps])[0])
        for picture in seen:
            codes = EvidenceEntry("codes", {
                "index": torch.randint(0, 6, (36, 2), generator=noise, dtype=torch.int32),
                "weight": torch.rand(36, 2, generator=noise),
                "nats": torch.rand(36, generator=noise)},
                {"grid": [6, 6], "frame": [0, 0, 48, 48], "nats": "of 'red squares'"})  # fmt: skip
            put_reading(atlas, picture, concepts, put_evidence(atlas, [codes])[0])
        heat = EvidenceEntry("attribution", {
            "map": torch.rand(6, 6, generator=noise), "words": torch.rand(2, generator=noise)},
            {"grid": [6, 6], "frame": [0, 0, 48, 48], "unit": "nats", "words": ["red", "squares"]})  # fmt: skip
        drop = Score("deletion", 0.2, (0.1, 0.3), 16, False, 0.5, (0.4, 0.6))
        with Writer(atlas, other) as writer:
            writer.add(ExplanationEntry("m2ib 0", "similar to 'red squares'", "InformationBottleneck",
                None, seen[0], heat, (), (drop,),
                {"sentence": "red squares", "cosine": 0.31, "flagged": False}))  # fmt: skip
            for unit in units[3:9]:
                writer.add(ExplanationEntry(f"name {unit}", f"unit {unit}", "Naming", unit, None,
                    None, (Said("cat", "vocabulary", .8, .7, .9), Said("animal", "vocabulary", .5)),
                    (Score("name check", .8, (.6, .9), 20, control=.1,
                           control_interval=(.0, .2)),)))  # fmt: skip
        put_relations(atlas, other, [
            RelationEntry("is-a", units[4], units[3], .9, 120, .8, .97, .1, {"lift": 3.}),
            RelationEntry("is-a", units[5], units[3], .8, 90, .7, .9, .1),
            RelationEntry("part-of", units[6], units[4], .7, 80, .6, .8, .2),
            RelationEntry("co-occurs", units[4], units[6], 2.4, 80, 1.9, 3., 1., {"measure": "lift"}),
        ])  # fmt: skip
        curve = {"x": [0, .25, .5, .75, 1], "y": [1, .6, .3, .2, .1],
                 "low": [.9, .5, .2, .1, 0], "high": [1, .7, .4, .3, .2], "n": 16}  # fmt: skip
        put_result(atlas, other, "faithfulness", "deletion", "Deletion of patches", {
            "x": "share of patches removed", "y": "cosine that is left", "better": "lower",
            "curves": [{"name": "m2ib", "system": "M2IB", "control": False, **curve},
                       {"name": "random", "system": "M2IB", "control": True, **curve,
                        "y": [1, .8, .6, .4, .2]}],
            "table": [{"system": "M2IB", "name": "m2ib", "value": .3, "low": .2, "high": .4,
                       "n": 16, "control": .6, "control_low": .5, "control_high": .7}]})  # fmt: skip
        put_result(atlas, other, "audit", "shortcut", "Tokens that differ between groups", {
            "groups": ["cats", "dogs"], "question": "which tokens went with a class", "findings": [
                {"unit": units[9], "text": "token 0 is on in 0.8 of cats and 0.2 of dogs",
                 "effect": .6, "low": .4, "high": .7, "p": .001, "corrected": .01, "n": 100,
                 "proof": "without it 0.4 of cats are called dogs", "flagged": True}]})  # fmt: skip
        put_result(atlas, other, "nulls", "concept", "Names on shuffled units", {
            "kind": "concept", "threshold": .3, "alpha": .05, "silent": .96, "low": .9,
            "high": .99, "n": 100, "coverage": .8})  # fmt: skip
        put_failure(atlas, other, "picture 99", "picture 99 cannot be read: it is cut off.")
    return Path(folder)
