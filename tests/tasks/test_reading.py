from dataclasses import replace

import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput, Missing, Refused, Unsupported
from legenda.explain.hierarchy import Cycle
from legenda.intervene.edits import put
from legenda.models.seeing import open_seeing
from legenda.tasks.reading import Reader
from tests import toys
from tests.cli import concept_world
from tests.cli.concept_world import painted


@pytest.fixture(scope="module")
def reader():
    return Reader.of(str(concept_world.made() / "a"))


@pytest.fixture
def folder(tmp_path):
    return concept_world.world(tmp_path) / "a"


def test_concepts_are_the_codes_of_the_picture(reader):
    read = reader.seen(painted(7), "seven", by="mass", count=99)
    codes = reader.dictionary.encode(reader.model.acts(reader.model.pixels([painted(7)])))
    dense = codes.dense()[0].clamp(min=0)
    assert {c.unit for c in read.concepts} == set(dense.sum(0).nonzero()[:, 0].tolist())
    for concept in read.concepts:
        assert torch.allclose(concept.map, dense[:, concept.unit].view(6, 6))
        assert concept.word == reader.words.get(concept.unit)
    assert read.source == "seven" and read.caption is not None and read.more == {}


def test_a_class_token_is_no_place(monkeypatch):
    """A tower with a class token, read by its neurons."""
    from legenda.core.dictionary import Identity

    model = toys.tiny_encoder("vit").image
    from legenda.models.seeing import Seeing

    seeing = Seeing(model, toys.VIEW, "mine@1", torch.device("cpu"))
    reader = Reader(seeing, Identity(16), None, (), None, {})
    read = reader.seen(painted(3), "three", by="mass", count=3)
    acts = seeing.acts(seeing.pixels([painted(3)]))[0, 1:].clamp(min=0)
    assert read.caption is None and len(read.concepts) == 3
    for concept in read.concepts:
        assert torch.allclose(concept.map, acts[:, concept.unit].view(4, 4))


def test_what_has_not_been_made_is_left_out(folder):
    concept_world.shutil.rmtree(folder / "survey")
    (folder / "names.json").unlink()
    (folder / "relations.json").unlink()
    bare = Reader.of(str(folder))
    assert (bare.survey, bare.names, bare.relations, bare.words) == (None, (), None, {})
    assert bare.near([bare.seen(painted(1), "one")]) is None


def test_a_survey_of_other_units_is_refused(folder):
    from legenda.dictionaries.random_atoms import RandomAtoms
    from legenda.dictionaries.storage import About, save_dictionary

    other = RandomAtoms(5, 2).fit(torch.randn(9, 16, generator=torch.Generator().manual_seed(0)))
    save_dictionary(folder, other, About(concept_world.REF))
    with pytest.raises(Refused, match="tells of 12 units, and the dictionary has 5"):
        Reader.of(str(folder))
    with pytest.raises(Missing, match="folder of concepts nowhere is not there"):
        Reader.of("nowhere")


def test_segments_cover_the_picture(reader):
    texts = ["red", "green", "a blue car"]
    acts = reader.model.acts(reader.model.pixels([painted(5)]))
    found = reader.segments(acts, texts)
    assert [one["class"] for one in found] == texts
    assert sum(one["share"] for one in found) == pytest.approx(1)
    assert (torch.tensor([one["where"] for one in found]).sum(0) == 1).all()
    for one in found:
        assert one["share"] == pytest.approx(torch.tensor(one["where"]).float().mean().item())


def test_a_change_is_told_beside_random_ones(reader):
    x = reader.model.pixels([painted(5)])
    (told,) = reader.changes(x, [lambda codes: codes], ["red"])
    assert told["before"] == told["after"] == told["random"][0] == told["random"][1]
    (told,) = reader.changes(x, [put(0, 5.0)], ["red"])
    assert told["before"] != told["after"]


def test_the_hierarchy_around_some_pictures(reader):
    read = reader.seen(painted(7), "seven", count=99)
    assert reader.relations is not None
    part = reader.near([read])
    assert part is not None and part.pairs <= reader.relations.pairs
    own = {c.unit for c in read.concepts}
    for edge in part.edges:
        assert edge.child in own or edge.child in set().union(
            *(reader.relations.ancestors(u) for u in own if u in reader.relations)
        )
    assert (part.implied, part.cycles, part.chance) == (0, (), None)


def test_units_in_no_hierarchy_and_synonyms_are_no_trouble(reader):
    read = reader.seen(painted(7), "seven", count=99)
    assert reader.relations is not None
    edge = reader.relations.edges[0]
    small = replace(
        reader.relations, edges=(edge,), cycles=(Cycle((edge.child, 999), ()),),
        active={u: reader.relations.active[u] for u in (edge.child, edge.parent)},
        synonyms={edge.child: (999,)},
    )  # fmt: skip
    one = replace(reader, relations=small)
    assert one.near([read]) is None or one.near([read]).pairs == {(edge.child, edge.parent)}
    merged = replace(read, concepts=[replace(read.concepts[0], unit=999)])
    found = one.near([merged])
    assert found is not None and found.pairs == {(edge.child, edge.parent)}
    strange = replace(read, concepts=[replace(read.concepts[0], unit=500)])
    assert one.near([strange]) is None


def test_what_needs_sentences_or_names_is_refused_at_once(reader):
    bare = replace(reader, words={})
    with pytest.raises(BadInput) as caught:
        bare.check(edits=[put(0, 1.0)])
    assert str(caught.value) == (
        "a change is told by likeness to sentences; no unit has a name, and no classes were given. "
        "Give some, or name the units with `legenda name`."
    )
    neurons = replace(reader, model=open_seeing(f"{concept_world.MODEL}@image=read"))
    for asked in ({"classes": ["red"]}, {"edits": [put(0, 1.0)]}):
        with pytest.raises(Unsupported, match="^comparing with sentences needs a model whose"):
            neurons.check(**asked)
    reader.check(["red"], [put(0, 1.0)])
    assert isinstance(put(0, 1.0)(Codes(torch.tensor([[[0]]]), torch.ones(1, 1, 1), 2)), Codes)
