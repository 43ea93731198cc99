"""Atlases for the second half of the views: a web of concepts, and readings with many units."""

import torch

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
    put_exemplars,
    put_model,
    put_picture,
    put_reading,
    put_relations,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from tests.atlas.made import encoded

WORDS = (
    "animal", "cat", "dog", "bird", "fur", "ear", "wing", "beak", "plant", "tree", "flower",
    "leaf", "petal", "vehicle", "car", "bus", "wheel", "window", "sky", "cloud", "sea", "sand",
    "house", "roof", "door", "red", "green", "blue", "stripe", "dot",
)  # fmt: skip
KINDS = {"cat": "animal", "dog": "animal", "bird": "animal", "tree": "plant", "flower": "plant",
         "car": "vehicle", "bus": "vehicle"}  # fmt: skip
PARTS = {"fur": "cat", "ear": "dog", "wing": "bird", "beak": "bird", "leaf": "tree",
         "petal": "flower", "wheel": "car", "window": "bus", "roof": "house", "door": "house"}  # fmt: skip # noqa: E501


def atlas_of(folder, words=WORDS, *, states=None, certainties=None, digest="aa" * 16):
    """An open atlas with one set of `words`, and the ids of its units."""
    atlas = Atlas(folder, write=True)
    model = put_model(atlas, ModelEntry("zoo:world", "world", "patches", "1", digest))
    group = put_set(atlas, SetEntry(model, "concepts", "concept", len(words), "bb" * 16))
    units = put_units(atlas, [
        UnitEntry(group, i, f"concept {i}", (states or {}).get(i, "named" if w else "abstained"), w,
                  "", (certainties or {}).get(i, .5 + .01 * (i % 40)), .4, .95, .9)
        for i, w in enumerate(words)
    ])  # fmt: skip
    return atlas, group, units


def study_of(atlas, title="A study", **settings):
    return put_study(atlas, StudyEntry("concepts", title, {"title": title, **settings}))


def picture_of(atlas, seed=0, side=48, caption=None):
    return put_picture(atlas, PictureEntry(
        f"picture {seed}", caption or f"squares, number {seed}", side, side, "image/webp",
        encoded(seed, side)))  # fmt: skip


def read(atlas, picture, group, index, weight, flow=None, grid=None, **facts):
    """A reading of a picture: index and weight per position."""
    arrays = {"index": torch.tensor(index, dtype=torch.int32), "weight": torch.tensor(weight)}
    if flow is not None:
        arrays["nats"] = torch.tensor(flow)
    rows = len(index)
    side = round(rows**0.5)
    held = {"grid": grid if grid is not None else [side, side], "frame": [0, 0, 48, 48], **facts}
    put_reading(
        atlas, picture, group, put_evidence(atlas, [EvidenceEntry("codes", arrays, held)])[0]
    )


def web(folder):
    """A whole one: tree, graph, readings with words that have maps."""
    atlas, group, units = atlas_of(folder)
    at: dict[str, int] = dict(zip(WORDS, units, strict=True))
    study, lot = study_of(atlas, "The concepts of zoo:world"), torch.Generator().manual_seed(0)
    seen = [picture_of(atlas, i, 96) for i in range(70)]
    for i, unit in enumerate(units):
        put_exemplars(atlas, unit, [(seen[(3 * i + k) % 70], 1 - 0.1 * k) for k in range(4)])
    related = [
        RelationEntry("is-a", at[a], at[b], 0.9, 120, 0.8, 0.97, 0.1) for a, b in KINDS.items()
    ]
    related += [RelationEntry("part-of", at[a], at[b], .7, 80, .6, .8, .2) for a, b in PARTS.items()]  # noqa: E501 # fmt: skip
    picks = torch.randint(0, len(units), (36, 2), generator=lot).tolist()
    for k, (i, j) in enumerate(picks):
        if i != j:
            low = 1.8 - 0.05 * k
            lift = {"measure": "lift"}
            related.append(RelationEntry("co-occurs", units[i], units[j], low + .4, 80, low,
                                         low + .9, 1., lift))  # fmt: skip
    put_relations(atlas, study, related)
    for picture in seen[:3]:
        index = torch.stack([torch.randperm(30, generator=lot)[:12] for _ in range(64)])
        weight = torch.rand(64, 12, generator=lot) ** 3
        nats = torch.rand(64, generator=lot) + (index == 1).any(1)
        read(atlas, picture, group, index.tolist(), weight.tolist(), nats.tolist(),
             frame=[-8, 8, 104, 88], nats="of 'a cat on sand'")  # fmt: skip
    heat = EvidenceEntry("attribution", {
        "map": torch.rand(8, 8, generator=lot), "words": torch.tensor([.1, .9, .2, -.4]),
        "word_maps": torch.rand(4, 8, 8, generator=lot)},
        {"grid": [8, 8], "frame": [8, 8, 88, 88], "unit": "nats", "words": ["a", "cat", "on", "sand"]})  # fmt: skip # noqa: E501
    with Writer(atlas, study) as writer:
        for flagged in (False, True):
            said = {"sentence": "a cat on sand", "cosine": 0.3, "flagged": flagged}
            writer.add(ExplanationEntry(f"m2ib {flagged}", "similar to 'a cat on sand'",
                "InformationBottleneck", None, seen[0], heat, (), (), said))  # fmt: skip
        for unit in units[:4]:
            writer.add(ExplanationEntry(f"name {unit}", f"unit {unit}", "Naming", unit, None, None,
                                        (Said("cat", "vocabulary", .8, .7, .9),)))  # fmt: skip
    return atlas, group, units
