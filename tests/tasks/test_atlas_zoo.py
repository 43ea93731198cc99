import pytest
import torch

from legenda.atlas.store import Atlas
from legenda.tasks import atlas_zoo
from legenda.tasks.atlas_zoo import LITTLE, close_ups, gather_zoo, scenes, shortcut, working
from legenda.zoo.vq.data import CONCEPTS, SEEDS
from legenda.zoo.vq.data import close_ups as drawn


def test_every_scene_comes_with_a_sentence_that_is_wrong():
    pictures, sentences = scenes(3)
    assert [p.source for p in pictures] == [f"scene {atlas_zoo.SCENE + i}" for i in range(3)]
    for one, some in zip(pictures, sentences, strict=True):
        assert one.picture.size == (256, 256) and one.caption == some[0]
        *_, kind = some[-1].split()
        assert some[1] in some[0] and kind not in some[0] and len(set(some)) == len(some)
    again, _ = scenes(1)
    assert again[0].picture.tobytes() == pictures[0].picture.tobytes()


def test_close_ups_are_files_with_what_they_show(tmp_path):
    labels = close_ups(tmp_path / "c", 150)
    truth = drawn("test", 150).labels.tolist()
    assert [one.label for one in labels.images] == [CONCEPTS[i] for i in truth]
    assert labels.images[3].image.name == f"close-up {SEEDS['test'] + 3}.png"
    assert all(one.image.is_file() for one in labels.images)


def test_houses_and_towers_are_tied_to_a_colour_but_where_they_are_held_out(tmp_path):
    groups = shortcut(tmp_path / "g", 60)
    assert groups.names == ("house", "tower")
    assert sum(groups.sizes(groups.labels, "training")) == 60
    assert sum(groups.sizes(groups.labels, "reference")) == 30


def test_unfinished_work_stays_and_finished_goes(tmp_path):
    with Atlas(tmp_path / "a", write=True) as atlas:
        with pytest.raises(RuntimeError), working(atlas) as work:
            (work / "piece").write_text("half")
            raise RuntimeError
        with working(atlas) as work:
            assert (work / "piece").read_text() == "half"
        assert not work.exists()


def test_only_what_is_asked_for_is_made(tmp_path, monkeypatch):
    asked = []
    for name, made in (("zoo_concepts", 1), ("zoo_agreement", 2), ("gather_latents", 3), ("zoo_tokens", 4)):  # fmt: skip # noqa: E501
        monkeypatch.setattr(atlas_zoo, name, lambda *a, made=made, **k: asked.append(made) or made)
    with Atlas(tmp_path / "a", write=True) as atlas:
        assert gather_zoo(atlas, ("latents", "tokens"), LITTLE) == {"latents": 3, "tokens": 4}
        assert asked == [3, 4]
        whole = gather_zoo(atlas, (), LITTLE)
        assert list(whole.values()) == [1, 2, 3, 4]  # concepts first: nats stand beside them


def test_a_photograph_needs_a_model_of_photographs(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(atlas_zoo, "gather_agreement", lambda atlas, model, pictures, sentences, **_: asked.append((model, [p.source for p in pictures])) or len(asked))  # fmt: skip # noqa: E501
    with Atlas(tmp_path / "a", write=True) as atlas:
        for model, expected in ((None, ["zoo:scenes"]), ("zoo:photos", ["zoo:scenes", "zoo:photos"])):  # fmt: skip # noqa: E501
            asked.clear()
            monkeypatch.setattr(atlas_zoo, "photos_model", lambda model=model: model)
            assert atlas_zoo.zoo_agreement(atlas, LITTLE, "cpu", lambda *_: None) == 1
            assert [name for name, _ in asked] == expected
            assert asked[-1][1][-1] == "chelsea.jpg"


@pytest.mark.slow
def test_an_edit_of_the_zoo_is_judged():
    from legenda.zoo.vq.shipped import concept_model, open_vq

    vq = open_vq()
    found = atlas_zoo.edited(vq, concept_model(vq))
    change = found.judged[0].target
    assert change is not None and change.after > max(change.control)
    assert torch.isfinite(found.after).all()
