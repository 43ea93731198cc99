"""The world of scenes: a pure function of its seed, with a truth that fits its pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.agreement import explain
from legenda.zoo.scenes import Scene, Thing, draw, render
from legenda.zoo.scenes.recipe import against_false, curriculum, new_model, pixels_of, train
from legenda.zoo.scenes.render import photograph
from legenda.zoo.scenes.shipped import BETA, SITE
from legenda.zoo.scenes.words import bank, holds, say, tell, tokenizer, truth, vocabulary
from legenda.zoo.scenes.world import COLOURS, GROUNDS, KINDS, PARTS, SIZES, TEXTURES


def red_house(**changes):
    fields = {"kind": "house", "colour": "red", "texture": "plain", "size": "large"}
    return Thing(**{**fields, "x": 0.5, "y": 0.5, "half": 0.25, **changes})


def test_a_scene_is_its_seed():
    assert draw(7) == draw(7) != draw(8)
    assert np.array_equal(photograph(draw(7)), photograph(draw(7)))
    assert np.array_equal(photograph(draw(7)), render(draw(7)).image)


def test_the_world_is_as_rich_as_promised():
    assert len(KINDS) >= 6 and len(COLOURS) == 8 and len(TEXTURES) == 5
    assert set(PARTS) <= set(KINDS) and len({family for family, _ in KINDS.values()}) >= 3
    scenes = [draw(seed) for seed in range(300)]
    assert {len(s.things) for s in scenes} == {1, 2, 3, 4}
    assert {t.kind for s in scenes for t in s.things} == set(KINDS)
    assert {t.texture for s in scenes for t in s.things} == set(TEXTURES)
    assert {t.size for s in scenes for t in s.things} == set(SIZES)
    assert {s.ground for s in scenes} == set(GROUNDS)


@pytest.mark.parametrize("seed", range(12))
def test_masks_are_true(seed):
    picture = render(draw(seed))
    count = len(picture.scene.things)
    assert picture.image.shape == (96, 96, 3)
    assert picture.seen.shape == picture.whole.shape == (count, 96, 96)
    assert not (picture.seen & ~picture.whole).any(), "what is seen is part of what is there"
    assert (picture.seen.sum(0) <= 1).all(), "a pixel shows one thing"
    shown = picture.seen.sum((1, 2)) / picture.whole.sum((1, 2))
    assert (shown > 0.4).all(), "about half of each thing stays in sight"
    for (number, part), mask in picture.parts.items():
        kind = picture.scene.things[number].kind
        assert part in PARTS.get(kind, (part,)), "parts are those the world knows"
        assert (mask & ~picture.seen[number]).mean() < 0.01, "a part is seen where its thing is"


def test_the_picture_shows_the_colour_it_says():
    picture = render(Scene((red_house(),), "fog", 3))
    wall = picture.image[picture.parts[0, "wall"]].mean(0)
    assert np.abs(wall - COLOURS["red"]).max() < 35


def test_captions():
    house, boat = (
        red_house(x=0.2),
        red_house(kind="boat", colour="orange", texture="striped", x=0.8),
    )
    scene = Scene((boat, house), "sand")
    assert scene.caption() == "a red house and a striped orange boat on sand"
    assert scene.relation(house, boat) == "left of"
    assert scene.relation(boat, house) == "right of"
    assert house.phrase(colour=False, size=True) == "a large house"
    assert boat.phrase() == "an orange boat"


def test_all_object_captions_hardly_ever_repeat():
    captions = [draw(seed, least=2).caption() for seed in range(1000)]
    assert len(set(captions)) > 990


def test_claims_hold_of_what_they_describe():
    house = red_house()
    assert holds({"kind": "house", "colour": "red"}, house)
    assert holds({"family": "building"}, house)
    assert not holds({"family": "vehicle"}, house)
    assert say({"family": "building", "colour": "orange"}) == "an orange building"
    scene = Scene((house,), "fog")
    held = truth([{"kind": "house"}, {"kind": "boat"}], [scene])
    assert held.tolist() == [[True, False]]
    assert len({say(c) for c in bank()}) == len(bank()), "no phrase twice"


def test_every_word_of_the_world_is_one_token():
    read = tokenizer()
    for word in vocabulary():
        assert len(read(word)["input_ids"]) == 3, word
    lot = np.random.default_rng(0)
    for seed in range(50):
        said = tell(draw(seed), lot)
        assert len(read(said)["input_ids"]) == len(said.split()) + 2
    assert len(read("qwertz")["input_ids"]) > 3, "gibberish falls into letters"


def test_exact_negatives_by_hand():
    scores = torch.tensor([[1.0, 2.0, 3.0]])
    held = torch.tensor([[True, False, True]])
    one = -torch.tensor([1.0, 2.0]).softmax(0)[0].log()
    three = -torch.tensor([3.0, 2.0]).softmax(0)[0].log()
    assert torch.allclose(against_false(scores, held), (one + three) / 2)


def test_the_model_is_small_and_takes_pictures():
    model = new_model()
    assert sum(p.numel() for p in model.parameters()) * 2 <= 6e6, "6 MB in half precision"
    x = pixels_of(np.stack([photograph(draw(i)) for i in range(2)]))
    assert x.shape == (2, 3, 96, 96) and x.abs().max() <= 2.01
    with torch.no_grad():
        assert model.get_image_features(pixel_values=x).pooler_output.shape == (2, 128)


def test_the_curriculum_ends_with_everything():
    assert [curriculum(images) for images in (0, 50_000, 200_000)] == [1, 2, 4]


@pytest.mark.slow
def test_a_short_training_writes_a_folder_that_opens(tmp_path):
    from legenda.models.opening import open_model

    seen = []
    train(tmp_path, images=24, batch=8, report=lambda step, f: seen.append(f["loss"]))
    assert len(seen) == 3 and all(np.isfinite(seen))
    dual = open_model(str(tmp_path), "1")
    assert dual.image.grid == (12, 12)
    assert dual.embed_text(["a red house"]).shape == (1, 128)


def test_the_settings_chosen_for_the_shipped_model_reach_its_explanations():
    picture = Image.fromarray(photograph(draw(5)))
    (found,) = explain("zoo:scenes", picture, draw(5).caption(), score=False, steps=1)
    assert f"beta={BETA['image']}," in found.settings["method"]
    assert f"beta={BETA['text']}," in found.settings["method for words"]
    assert found.settings["image site"].endswith(f"@{SITE['image']}")
    assert found.settings["text site"].endswith(f"@{SITE['text']}")
    (other,) = explain("zoo:scenes", picture, "a", score=False, steps=1, beta={"image": 9.0})
    assert "beta=9.0," in other.settings["method"]
    assert f"beta={BETA['text']}," in other.settings["method for words"]
