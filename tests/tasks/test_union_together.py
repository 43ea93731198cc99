import numpy as np
import pytest
import torch

from legenda.atlas.store import Atlas, loaded
from legenda.errors import BadInput
from legenda.tasks.union_together import gather_together, together
from tests.tasks import palette
from tests.tasks.palette import BLUE, GREEN, RED, YELLOW


def pictures(count=90):
    return torch.from_numpy(palette.grids(count)[0].astype(np.int64))


def test_planted_two_tokens_that_are_painted_together_are_the_only_pair():
    found = together(pictures(), 8)
    assert [(one.first, one.second) for one in found.pairs] == [(BLUE, YELLOW)]
    pair = found.pairs[0]
    assert pair.value == pytest.approx(3)  # in every third picture
    assert found.control.interval[0] < 1.2 < pair.interval[0]
    assert found.asked > 10
    assert found.above == 1


def test_fewer_pairs_may_be_kept_than_there_are():
    twice = torch.cat([pictures(), pictures() + 8], 1)  # every token has a shadow
    found = together(twice, 16, most=2)
    assert len(found.pairs) == 2
    assert found.above > 2
    assert found.pairs == together(twice, 16).pairs[:2]


def test_pictures_that_know_of_no_pair_have_none():
    """By equation (1) one world in twenty would keep one."""
    kept = []
    for seed in range(12):
        lot = np.random.default_rng(seed)
        held = lot.random((90, 8)) < 0.4
        alone = np.where(held, np.arange(8), 0)
        kept.append(len(together(torch.from_numpy(alone), 8).pairs))
    assert sum(map(bool, kept)) <= 2


def test_tokens_that_avoid_each_other_are_no_pair():
    pairs = {(p.first, p.second) for p in together(pictures(), 8).pairs}
    assert (RED, GREEN) not in pairs


def test_pairs_become_relations_once(tmp_path):
    with Atlas(tmp_path, write=True) as atlas:
        study = gather_together(atlas, palette.model(), pictures())
        rows = atlas.all(
            "SELECT r.*, a.number AS one_, b.number AS other_ FROM relations r "
            "JOIN units a ON a.id = r.one JOIN units b ON b.id = r.other")  # fmt: skip
        assert [(r["kind"], r["one_"], r["other_"]) for r in rows] == [("co-occurs", BLUE, YELLOW)]
        assert rows[0]["low"] < rows[0]["value"] < rows[0]["high"]
        assert rows[0]["control"] < rows[0]["low"]
        assert rows[0]["n"] == 30
        found = loaded(atlas.value("SELECT content FROM results WHERE study = ?", study))
        assert found["pairs above chance"] == 1
        assert found["pairs"][0]["lift"] == pytest.approx(3)
        assert gather_together(atlas, palette.model(), pictures()) == study


def test_too_few_pictures_are_refused():
    with pytest.raises(BadInput) as caught:
        together(pictures(3), 8)
    assert str(caught.value) == (
        "tokens are found together in 5 pictures or more that hold two of them; it got 3 pictures "
        "with 7 tokens. Give more pictures."
    )
