"""The recipe on invented features: determinism, the loss, and the measures."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from legenda.train.loop import Schedule
from legenda.zoo.photos import measure, recipe
from legenda.zoo.photos.features import pixels, widened, wordings
from legenda.zoo.photos.figures import CARD, counts, filled, table
from legenda.zoo.photos.measure import Measure, retrieval
from legenda.zoo.photos.mobilenet import Convolution
from legenda.zoo.photos.pairs import Pair
from legenda.zoo.photos.picture import background, plain, varied


@pytest.fixture(scope="module")
def world() -> tuple[recipe.Data, list[Pair]]:
    torch.manual_seed(0)
    last = Convolution(320, 1280, 1).eval().requires_grad_(False)
    pairs = [Pair(f"x/{i}.png", f"thing {i}", (), "emoji", True, i // 2) for i in range(24)]
    data = recipe.Data(
        torch.randn(24, 3, 9, 320).half(),
        torch.rand(24, 3, 9).half(),
        torch.randn(24, 5, 384),
        last,
        torch.nn.Linear(1280, 1000),
    )
    return data, pairs


def test_a_step_is_a_function_of_its_number(world) -> None:
    data, pairs = world
    settings = recipe.Settings(batch=8, places=4)
    torch.manual_seed(1)
    heads = recipe.Heads(0.3)
    first = recipe.make_loss(heads, data, pairs, settings, seed=0)
    again = recipe.make_loss(heads, data, pairs, settings, seed=0)
    assert first(3)[0] == again(3)[0]
    assert first(3)[0] != first(4)[0]


def test_the_image_head_begins_with_the_classes_of_imagenet(world) -> None:
    data, _ = world
    heads = recipe.Heads(classifier=data.classifier)
    features = torch.randn(3, 1280)
    torch.testing.assert_close(heads.image.head.bent[0](features), data.classifier(features))
    words = torch.randn(3, 384)
    torch.testing.assert_close(heads.text(words), words)


def test_held_out_pairs_are_never_drawn(world) -> None:
    data, pairs = world
    hidden = [Pair(p.picture, p.title, (), p.source, True, p.family, "test") for p in pairs[12:]]
    poisoned = data.texts.clone()
    poisoned[12:] = math.nan
    spoiled = replace(data, texts=poisoned)
    loss = recipe.make_loss(
        recipe.Heads(), spoiled, [*pairs[:12], *hidden], recipe.Settings(batch=99, places=4), 0
    )
    assert all(torch.isfinite(loss(step)[0]) for step in range(5))


def test_training_resumes_to_the_same_bits_and_leaves_the_generator_alone(
    world, tmp_path: Path
) -> None:
    data, pairs = world
    schedule = Schedule(steps=4, warmup=1)
    settings = recipe.Settings(batch=8, places=4, schedule=schedule)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    whole = recipe.trained(data, pairs, settings, 0)
    assert torch.rand(1) == expected
    checkpoint = tmp_path / "checkpoint.safetensors"

    def killed(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "SAVED_EVERY", 2)
        with pytest.raises(KeyboardInterrupt):
            recipe.trained(data, pairs, settings, 0, checkpoint, killed)
        assert checkpoint.is_file()
        resumed = recipe.trained(data, pairs, settings, 0, checkpoint)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_agreement_is_the_symmetric_cross_entropy_written_slowly() -> None:
    draw = torch.Generator().manual_seed(0)
    images, texts = torch.randn(5, 7, generator=draw), torch.randn(5, 7, generator=draw)
    expected = 0.0
    for one, other in ((images, texts), (texts, images)):
        for i in range(5):
            said = [math.exp(2 * float(torch.cosine_similarity(one[i], o, 0))) for o in other]
            expected -= math.log(said[i] / sum(said)) / 5
    found = recipe.agreement(images, texts, torch.tensor(math.log(2)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_widened_is_the_last_convolution_place_by_place() -> None:
    torch.manual_seed(0)
    last = Convolution(320, 1280, 1).eval().requires_grad_(False)
    maps = torch.randn(2, 320, 3, 3)
    expected = last(maps).flatten(2).mT
    torch.testing.assert_close(widened(maps.flatten(2).mT, last), expected)


def test_recalls_count_ranks_as_a_slow_search_does() -> None:
    draw = torch.Generator().manual_seed(0)
    images = normalize(torch.randn(40, 6, generator=draw), dim=1)
    texts = normalize(images + 0.6 * torch.randn(40, 6, generator=draw), dim=1)
    found = {m.name: m for m in retrieval(images, texts)}
    for top in (1, 5, 10):
        hits = 0
        for i in range(40):
            ranked = sorted(range(40), key=lambda j: -float(images[i] @ texts[j]))
            hits += i in ranked[:top]
        assert found[f"image→text R@{top}"].value == pytest.approx(hits / 40)
    low, high = found["image→text R@5"].interval
    assert low < found["image→text R@5"].value < high
    assert found["text→image R@1"].chance == 1 / 40


def test_equal_scores_do_not_count_as_found() -> None:
    same = torch.ones(8, 2) / 2**0.5
    assert [m.value for m in retrieval(same, same)][:2] == [0, 0]


def test_the_card_is_filled_between_its_marks() -> None:
    card = CARD.read_text("utf-8")
    rows = table([Measure("x R@1", 0.25, (0.2, 0.3), 4, 0.25)])
    assert rows.splitlines()[-1] == "| x R@1 | 0.250 | 0.200–0.300 | 4 | 0.2500 |"
    made = filled(card, "measured", rows)
    assert f"<!-- measured -->\n{rows}\n<!-- end of measured -->" in made
    assert filled(made, "measured", "") == filled(card, "measured", "")


def test_the_pairs_are_counted_by_source_and_part() -> None:
    pairs = [Pair("a", "a", (), "emoji", True, 0), Pair("b", "b", (), "emoji", True, 0)]
    assert counts(pairs).splitlines()[2] == (
        "| emoji | 2 in 1 families | 0 in 0 families | 0 in 0 families |"
    )


def test_wordings_begin_with_the_measured_caption() -> None:
    pair = Pair("x", "dog face", ("dog", "pet"), "emoji")
    said = wordings(pair, np.random.default_rng(0))
    assert said[0] == "dog face. dog, pet"
    assert len(said) == len(wordings(Pair("x", "cat", (), "emoji"), np.random.default_rng(0))) == 5
    assert all("dog face" in wording for wording in said)


def test_views_have_one_size_and_say_where_the_picture_is() -> None:
    red = Image.new("RGBA", (30, 50), (255, 0, 0, 255))
    for seed in range(30):
        view, inside = varied(red, np.random.default_rng(seed), size=64)
        assert view.size == (64, 64)
        assert inside.shape == (64, 64)
        assert 0.02 < inside.mean() < 0.95
        off = np.abs(np.asarray(view, float)[inside > 0.99] - (255, 0, 0)).max(1)
        assert np.median(off) < 60
    assert plain(red, 64).getpixel((32, 32)) == (255, 0, 0)
    assert plain(red, 64).getpixel((1, 1)) == (255, 255, 255)


def test_backgrounds_and_pixels_are_what_they_say() -> None:
    kinds = [np.asarray(background(np.random.default_rng(seed), 32)) for seed in range(30)]
    assert all(kind.shape == (32, 32, 3) for kind in kinds)
    assert len({kind.tobytes() for kind in kinds}) > 15
    batch = pixels([Image.new("RGB", (8, 8), (255, 255, 255))])
    assert batch[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)


def test_cifar_has_ten_classes() -> None:
    assert len(set(measure.CLASSES)) == 10
