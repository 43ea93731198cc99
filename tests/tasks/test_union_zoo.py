from functools import cache
from tempfile import mkdtemp

import torch

from legenda.atlas.store import Atlas
from legenda.score.null_names import NullNames
from legenda.tasks.union_faithful import share
from legenda.tasks.union_zoo import LITTLE, WHAT, Zoo, seeded, union_zoo
from legenda.tasks.union_zoo_names import scene_words, surveyed, token_names
from legenda.tasks.union_zoo_trials import by_cells, trials_of
from legenda.zoo.scenes.world import COLOURS, KINDS

TINY = LITTLE._replace(close_ups=96, draws=2, named=16, crops=4, trials=(32, 2), moved=(2, 4))


@cache
def zoo():
    """The shipped models, asked as little as can be; nothing of this is written."""
    with Atlas(mkdtemp(), write=True) as atlas:
        return Zoo(atlas, TINY, 0, "cpu", lambda *_: None)


def test_tokens_of_close_ups_are_named_by_words_of_scenes():
    found = token_names(zoo())
    ruled = NullNames()({"token": found.sureness})["token"]
    named = [found.words[i][0] for i in ruled.named.nonzero()[:, 0].tolist()]
    assert len(named) >= 2
    assert set(named) <= set(scene_words().words)
    assert any(word in COLOURS for word in named)
    assert sum(bool(words) for words in found.words) <= TINY.named


def test_words_of_scenes_are_those_that_are_drawn():
    words = set(scene_words().words)
    assert set(KINDS) | set(COLOURS) <= words


def test_close_ups_are_a_survey_without_files():
    found = surveyed(zoo())
    assert found.tokens.shape == (96, 256)
    assert len(set(found.keys)) == 96
    assert torch.equal(torch.from_numpy(found.tokens.astype("int64")), zoo().tokens)


def test_cells_of_close_ups_are_tried_by_slopes_and_by_nats():
    assert list(trials_of(zoo())) == ["M2IB", "CORTEX, slope", "CORTEX, nats", "concepts", "latents"]  # fmt: skip # noqa: E501
    for slopes in (True, False):
        found = share(by_cells(zoo(), slopes))
        assert found.beats_control
        assert found.value > 0.5


def test_only_what_is_asked_for_is_done_and_a_seed_makes_another_study(tmp_path):
    with Atlas(tmp_path, write=True) as atlas:
        assert union_zoo(atlas, [], TINY) == {}
        one = union_zoo(atlas, ["together"], TINY)
        assert list(one) == ["together"]
        assert union_zoo(atlas, ["together"], TINY) == one
        assert union_zoo(atlas, ["together"], TINY, seed=1) != one
    assert WHAT == ("behind", "nats", "together", "moved", "names", "faithful")
    from legenda.tasks.union_moved import TOKENS

    assert seeded(TOKENS, 7).seed == 7
