from dataclasses import replace

import pytest
import torch
from PIL import Image

from legenda.agreement import explain, opened
from legenda.tasks.word_maps import weightiest, without, word_maps
from legenda.zoo.scenes import draw, render


def scenes(count: int, first: int = 5_200_000):
    """Scenes of three things of three kinds."""
    found, seed = [], first
    while len(found) < count:
        scene = draw(seed, 3, 3)
        seed += 1
        if len({thing.kind for thing in scene.things}) == 3:
            found.append(render(scene, 96))
    return found


@pytest.fixture(scope="module")
def dual():
    return opened("zoo:scenes")


@pytest.fixture(scope="module")
def read(dual):
    found = []
    for one in scenes(4):
        (made,) = explain(dual, Image.fromarray(one.image), one.scene.caption(), score=False)
        found.append((one, made, *word_maps(dual, made, most=6)))
    return found


def on(picture, values, which: int) -> bool:
    """Whether the strongest patch lies on a thing."""
    row, column = divmod(int(values.argmax()), values.shape[1])
    side = picture.seen.shape[-1]
    y, x = (
        int((at + 0.5) / size * side) for at, size in zip((row, column), values.shape, strict=True)
    )
    return bool(picture.seen[which, y, x])


def test_a_word_for_a_thing_points_at_it_and_the_sentence_does_not(read):
    mine, whole = [], []
    for picture, made, chosen, maps in read:
        kinds = [thing.kind for thing in picture.scene.things]
        for i, values in zip(chosen, maps, strict=True):
            if made.words[i].text in kinds:
                which = kinds.index(made.words[i].text)
                mine.append(on(picture, values, which))
                whole.append(on(picture, made.image.map()[0], which))
    assert len(mine) >= 6
    assert sum(mine) / len(mine) >= 0.6 > 0.45 >= sum(whole) / len(whole)


def test_words_are_asked_about_in_their_order_and_articles_are_not(read):
    for _, made, chosen, maps in read:
        assert chosen == sorted(chosen) and len(maps) == len(chosen) <= 6
        assert not {made.words[i].text for i in chosen} & {"a", "and", "on"}


def test_the_same_word_gives_the_same_map_alone_or_among_others(dual, read):
    _, made, chosen, maps = read[0]
    (best,), (alone,) = word_maps(dual, made, most=1)
    assert made.words[best].score == max(w.score for w in made.words)
    torch.testing.assert_close(alone, maps[chosen.index(best)], rtol=1e-3, atol=1e-2)


def test_the_model_keeps_no_gradient(dual, read):
    assert all(p.grad is None for p in dual.image.root.parameters())


def test_one_word_alone_has_no_map_of_its_own(dual, read):
    _, made, _, _ = read[0]
    alone = replace(made, words=made.words[:1])
    chosen, maps = word_maps(dual, alone)
    assert chosen == [] and maps.shape == (0, *made.image.map().shape[1:])
    assert weightiest(made, 0) == []


def test_a_word_is_left_out_where_it_stands(read):
    _, made, _, _ = read[0]
    sentence, words = made.sentence, [w.text for w in made.words]
    for i, word in enumerate(words):
        assert without(sentence, made, i).split() == words[:i] + words[i + 1 :], word
