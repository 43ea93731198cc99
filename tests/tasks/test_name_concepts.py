from dataclasses import replace

import pytest
import torch

from legenda.core.codes import Codes
from legenda.describe.corrections import correct, correction, read_corrections
from legenda.describe.name_check import HeldOut
from legenda.describe.vocabulary import Vocabulary
from legenda.errors import BadInput, Missing, Refused, Unsupported
from legenda.models.seeing import open_seeing
from legenda.tasks.concept_folder import ConceptFolder
from legenda.tasks.name_concepts import (
    NameSettings,
    bias_of,
    halves,
    held_out,
    name_concepts,
    vocabulary_of,
)
from tests.cli import concept_world
from tests.cli.concept_world import COLOURS, MODEL, said

HOW = NameSettings(level=0.0, tells=0.0)
WORDS = Vocabulary.of([*COLOURS, "car", "house", "sea"], "a list")


@pytest.fixture(scope="module")
def model():
    return open_seeing(MODEL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return ConceptFolder(concept_world.world(tmp_path) / "a")


def planted(folder):
    """The folder with a dictionary whose atoms are the colours, surveyed."""
    from legenda.core.units import Units
    from legenda.corpus.surveying import survey
    from legenda.dictionaries.linear import LinearDictionary, Projection
    from legenda.dictionaries.random_atoms import RandomAtoms
    from legenda.dictionaries.storage import save_dictionary

    colours = torch.tensor([*COLOURS.values()]) / 127.5 - 1
    atoms = torch.nn.functional.normalize(said(colours), dim=1)
    made = LinearDictionary(
        atoms, torch.zeros(atoms.shape[1]), Projection(1), "planted", RandomAtoms(8, 1)
    )  # noqa: E501
    folder.forget()
    save_dictionary(folder.path, made)
    survey(Units(open_seeing(MODEL), made), folder.origin.pictures()[0], folder.path / "survey")


@pytest.mark.parametrize("method", ["vanilla", "family"])
def test_planted_colours_get_their_names(folder, model, method):
    planted(folder)
    how = replace(HOW, method=method)
    found = name_concepts(folder, model, WORDS, how, folder.origin.pictures()[1])
    named = [name.word for name in found.corrected.names]
    right = sum(word == colour for word, colour in zip(named, COLOURS, strict=True))
    assert right == 8, named
    checks = [name.check for name in found.corrected.names if name.check]
    assert checks and all(
        0 <= c.interval[0] <= c.auroc <= c.interval[1] <= 1 for c in checks if c.auroc == c.auroc
    )  # noqa: E501


def test_a_high_level_leaves_more_without_a_name(folder, model):
    few = name_concepts(folder, model, WORDS, replace(HOW, level=0.999))
    many = name_concepts(folder, model, WORDS, HOW)
    count = [sum(n.word is not None for n in one.corrected.names) for one in (few, many)]
    assert count[0] < count[1]
    assert all(name.reason for name in few.corrected.names if name.word is None)


def test_without_held_out_pictures_nothing_is_checked(folder, model):
    found = name_concepts(folder, model, WORDS, HOW)
    assert not any(name.check for name in found.corrected.names) and found.refused == ()


def test_broken_corrections_are_found_before_anything_is_written(folder, model):
    (folder.path / "corrections.json").write_text("{")
    before = concept_world.files(folder.path)
    with pytest.raises(Refused, match=r"corrections\.json is not JSON at line 1"):
        name_concepts(folder, model, WORDS, HOW)
    assert concept_world.files(folder.path) == before


def test_a_correction_follows_its_atom_and_is_never_lost(folder, model):
    dictionary, _ = folder.dictionary()
    place = folder.path / "corrections.json"
    turned = dictionary.atoms.roll(1, 0)  # as if unit 0 had been number 1 of another fit
    correct(place, correction(1, "wheel", turned, "why"))
    found = name_concepts(folder, model, WORDS, HOW).corrected
    assert found.names[0].word == "wheel" and found.moved == ((1, 0),)
    (kept,) = read_corrections(place)
    assert (kept.unit, kept.word, kept.note) == (0, "wheel", "why")


def test_a_model_without_sentences(folder):
    neurons = open_seeing(f"{MODEL}@image=read")
    with pytest.raises(Unsupported) as caught:
        name_concepts(folder, neurons, WORDS, HOW)
    assert str(caught.value) == (
        f"naming needs a model whose patches meet sentences; {MODEL}@image=read has none. Fit "
        "concepts to the patches of a dual encoder, such as zoo:photos@patches."
    )


def test_held_out_codes_are_those_of_each_picture(folder, model):
    dictionary, _ = folder.dictionary()
    pictures = folder.origin.pictures()[1]
    held, refused = held_out(dictionary, model, pictures, lambda *_: None)
    assert held is not None and refused == () and held.images.tolist() == [0, 1, 2]
    for i in range(len(pictures)):
        acts = model.acts(model.pixels([pictures.open(i)]))
        assert torch.allclose(held.patches[i], acts[0], atol=1e-6)
        own = dictionary.encode(acts).dense()[0]
        dense = torch.zeros_like(own)
        dense.scatter_add_(1, held.codes.index[i], held.codes.weight[i])
        assert torch.allclose(dense, own, atol=1e-5)


def test_the_bias_is_what_no_unit_says(folder):
    dictionary, _ = folder.dictionary()
    assert torch.allclose(bias_of(dictionary), dictionary.bias.detach())


def test_vocabularies_by_the_name_that_a_person_types(tmp_path):
    (tmp_path / "w.txt").write_text("zeppelin\nred\n")
    both = vocabulary_of(f"everyday + {tmp_path / 'w.txt'}")
    assert len(both) in (20_000, 20_001, 20_002) and "zeppelin" in both.words
    for name in ("emoji", "clipart"):
        with pytest.raises(Missing) as caught:
            vocabulary_of(name, tmp_path)
        assert str(caught.value) == (
            f"the words of {name} are those of zoo:photos, which are not in the cache. Run "
            "`make data`, or use --words everyday."
        )
    (tmp_path / "zoo" / "photos" / "pairs" / "emoji-names").mkdir(parents=True)
    with pytest.raises(Missing, match="list of emoji .* is not there"):
        vocabulary_of("emoji", tmp_path)


def test_an_unknown_method():
    with pytest.raises(BadInput) as caught:
        NameSettings(method="centerd")
    assert str(caught.value) == (
        "names are given by vanilla, family, centred, contrastive; it got 'centerd'. Did you mean "
        "'centred'?"
    )


def test_the_pictures_that_decide_on_names_are_not_those_that_check_them():
    index = torch.arange(5)[:, None, None].expand(5, 2, 1)
    held = HeldOut(Codes(index, torch.ones(5, 2, 1), 5), torch.rand(5, 2, 3), torch.arange(10, 15))
    first, second = halves(held)
    assert first.images.tolist() == [10, 12, 14] and second.images.tolist() == [11, 13]
    for half in (first, second):
        own = half.images - 10
        assert torch.equal(half.codes.index, index[own])
        assert torch.equal(half.patches, held.patches[own])
