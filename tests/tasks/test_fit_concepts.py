import os
from dataclasses import replace

import pytest
import torch
from PIL import Image

from legenda.corpus.pictures import from_source
from legenda.errors import BadInput
from legenda.models.seeing import open_seeing
from legenda.tasks.concept_folder import ConceptFolder, Origin
from legenda.tasks.fit_concepts import FitSettings, fit_concepts, fit_cost
from tests.cli import concept_world
from tests.cli.concept_world import POSITIONS, files, killed, said

HOW = FitSettings(units=12, k=2, steps=60, batch=128, lr=0.01, per_image=None, every=7)


@pytest.fixture(scope="module")
def model():
    return open_seeing(concept_world.MODEL)


@pytest.fixture
def parts():
    return Origin("", "").pictures(from_source(concept_world.pictures() / "pics"))


def begun(path):
    folder = ConceptFolder(path)
    folder.begin(Origin(concept_world.REF, "pics"))
    return folder


def test_a_dictionary_learns_the_colours_and_beats_random_directions(tmp_path, model, parts):
    found = fit_concepts(begun(tmp_path), model, *parts, replace(HOW, kind="kmeans", units=8))
    fvu = next(score for score in found.scores if score.name == "fvu")
    assert fvu.value < 0.05 and fvu.control is not None and fvu.control > 5 * fvu.value
    colours = torch.tensor([*concept_world.COLOURS.values()]) / 127.5 - 1
    wanted = torch.nn.functional.normalize(said(colours), dim=1)
    atoms = torch.nn.functional.normalize(found.dictionary.atoms, dim=1)
    assert float((wanted @ atoms.T).amax(1).min()) > 0.99
    assert found.about.rows == POSITIONS * len(parts[0]) and found.refused == ()


def test_it_is_written_whole_and_nothing_else_is_left(tmp_path, model, parts):
    told = []
    folder = begun(tmp_path)
    found = fit_concepts(folder, model, *parts, HOW, lambda what, *_: told.append(what))
    assert sorted(files(tmp_path)) == ["concepts.json", "dictionary.safetensors"]
    again, about = folder.dictionary()
    assert torch.equal(again.atoms, found.dictionary.atoms) and about == found.about
    assert list(dict.fromkeys(told)) == ["activations", "fitting", "measuring"]
    assert not any(p.grad is not None for p in found.dictionary.parameters())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked to be killed")
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path, model, parts):
    whole = begun(tmp_path / "whole")
    fit_concepts(whole, model, *parts, HOW)

    def work():
        fit_concepts(begun(tmp_path / "cut"), model, *parts, HOW)

    kills = sum(killed(work, at) for at in (1, 2, 4, 6, 9, 11, 13))
    assert kills >= 6
    work()
    name = "dictionary.safetensors"
    assert files(tmp_path / "cut")[name] == files(tmp_path / "whole")[name]
    assert not list((tmp_path / "cut").glob("*.training.*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked to be killed")
@pytest.mark.parametrize("back", [1, 2])
def test_killed_at_the_very_end(tmp_path, model, parts, back):
    """When the last files are renamed and removed, nothing that is needed again is half gone."""
    folder = begun(tmp_path)
    counted = 1
    while killed(lambda: fit_concepts(folder, model, *parts, replace(HOW, kind="kmeans")), counted):
        counted += 1
        for path in (folder.path / "dictionary.safetensors", folder.path / "rows"):
            concept_world.shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (folder.path / "dictionary.safetensors").unlink()
    assert killed(
        lambda: fit_concepts(folder, model, *parts, replace(HOW, kind="kmeans")), counted - back
    )
    fit_concepts(folder, model, *parts, replace(HOW, kind="kmeans"))
    assert sorted(files(tmp_path)) == ["concepts.json", "dictionary.safetensors"]


def test_an_interrupted_fit_with_other_settings_is_refused(tmp_path, model, parts):
    from legenda.errors import Refused

    class Stop(Exception):
        pass

    def stop(what, done, total, figures):
        if what == "fitting" and done == 20:
            raise Stop

    with pytest.raises(Stop):
        fit_concepts(begun(tmp_path), model, *parts, HOW, stop)
    with pytest.raises(Refused) as caught:
        fit_concepts(begun(tmp_path), model, *parts, replace(HOW, k=3))
    assert f"{tmp_path / 'dictionary.training.safetensors'} was begun with another learner" in str(
        caught.value
    )
    fit_concepts(begun(tmp_path), model, *parts, HOW)


def test_positions_and_the_seed_decide_which_rows(tmp_path, model, parts):
    few = replace(HOW, per_image=5, steps=5)
    one = fit_concepts(begun(tmp_path / "1"), model, *parts, few)
    two = fit_concepts(begun(tmp_path / "2"), model, *parts, replace(few, seed=1))
    same = fit_concepts(begun(tmp_path / "3"), model, *parts, few)
    assert one.about.rows == 5 * len(parts[0])
    assert torch.equal(one.dictionary.atoms, same.dictionary.atoms)
    assert not torch.equal(one.dictionary.atoms, two.dictionary.atoms)


def test_what_it_costs(model, parts):
    cost = fit_cost(model, parts[0], replace(HOW, per_image=5))
    assert (cost.pictures, cost.rows) == (len(parts[0]), 5 * len(parts[0]))
    assert cost.epochs == HOW.steps * HOW.batch / cost.rows
    assert fit_cost(model, parts[0], replace(HOW, kind="pca")).epochs == 0
    with pytest.raises(BadInput) as caught:
        fit_cost(model, parts[0], replace(HOW, per_image=1, units=38))
    assert str(caught.value) == (
        "38 units need 38 activations or more; there are 37. Give more pictures, keep more "
        "positions of each, or ask for fewer units."
    )


def test_pictures_that_are_all_the_same(tmp_path, model):
    (tmp_path / "pics").mkdir()
    for i in range(4):
        Image.new("RGB", (48, 48), "red").save(tmp_path / "pics" / f"{i}.png")
    same = from_source(tmp_path / "pics")
    nothing = Origin("", "", 0.0).pictures(same)[1]
    with pytest.raises(BadInput) as caught:
        fit_concepts(begun(tmp_path / "o"), model, same, nothing, replace(HOW, steps=3))
    assert str(caught.value) == (
        "16 of 16 columns of the activations are constant (the first is 0). Open the model at a "
        "site that varies."
    )
    assert not (tmp_path / "o" / "dictionary.safetensors").exists()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"every": 0}, {"lr": 0.0}])
def test_settings_are_checked(wrong):
    with pytest.raises(BadInput, match="a fit needs steps, batch and every of 1 or more"):
        replace(HOW, **wrong).learner()
