from time import perf_counter

import pytest
import torch
from torch import nn

from legenda.atlas.entries import StudyEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_picture, put_study
from legenda.tasks.atlas_models import card, held, kept, model_entry, provenance, set_entry
from legenda.tasks.atlas_pictures import picture_entry
from tests.tasks.atlas_world import counted, vae, vq
from tests.tasks.test_atlas_pictures import picture

ENTRY = StudyEntry("tests", "a study", {"seed": 3})


class Model:
    def __init__(self, ref="hf:org/name@abc", weight=1.0):
        self.ref, self.name, self.about = ref, "named", {"kind": "a line", "sites": "one"}
        self.root = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.root.weight, weight)


def test_a_model_is_known_by_its_weights():
    one = model_entry(Model(), "latents")
    assert (one.ref, one.site, one.revision, one.name) == ("hf:org/name@abc", "latents", "abc", "named")  # fmt: skip # noqa: E501
    assert one.card == {"what": "a line", "sites": "one", "parameters": 2}
    assert one.digest == model_entry(Model()).digest != model_entry(Model(weight=2.0)).digest
    assert model_entry(Model("folder@2")).revision == ""


def test_a_card_says_what_a_model_is():
    assert card(vq())["grid"] == [8, 8] and card(vae())["parameters"] == 1
    assert "what" not in card(object())


def test_a_set_is_known_by_its_dictionary():
    one = set_entry(4, vq().codebook, "token", {"asked": "cnn"}, "codebook")
    assert (one.model, one.kind, one.size, one.dictionary) == (4, "token", 24, "codebook")
    assert one.card == {"asked": "cnn"}
    assert set_entry(4, vq().codebook, "token").dictionary == vq().codebook.name
    other = torch.nn.Parameter(vq().codebook.atoms + 1)
    assert one.digest != set_entry(4, type(vq().codebook)(other.detach()), "token").digest


def test_provenance_names_no_machine():
    assert set(provenance()) == {"legenda", "torch", "python", "device"}


def test_a_study_is_there_whole_or_not_at_all(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        with pytest.raises(RuntimeError), kept(atlas, ENTRY, perf_counter()):
            put_picture(atlas, picture_entry(picture(), "a.png"))
            raise RuntimeError
        assert held(atlas, ENTRY) is None and not counted(atlas, "pictures")
        with kept(atlas, ENTRY, perf_counter() - 2) as study:
            put_picture(atlas, picture_entry(picture(), "a.png"))
        assert held(atlas, ENTRY) == study and counted(atlas, "pictures") == 1
        assert atlas.value("SELECT seconds FROM studies") >= 2


def test_a_study_that_was_only_begun_is_not_held(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        put_study(atlas, ENTRY)
        assert held(atlas, ENTRY) is None
