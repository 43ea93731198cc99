"""The FactorVAE score against loops, from a sample and from drawn pictures."""

import numpy as np
import pytest
import torch

from legenda.errors import BadInput
from legenda.score.factor_information import known
from legenda.score.factor_vae_score import FactorVAEScore
from tests.score.disentanglement_world import SIZES, levels, noise, perfect, turned

QUICK = FactorVAEScore(votes=200, batch=32)


def drawing(blur=0.0, asked=None):
    """Pictures drawn for each vote; `asked` keeps what was asked for and given."""

    def draw(factor, level, count, seed):
        v = levels(count, seed=seed)
        v[:, factor] = level
        z = torch.from_numpy((v - np.array(SIZES) / 2) / np.array(SIZES))
        z = torch.cat([z + blur * noise(count, 4, seed), noise(count, 2, seed)], 1)
        if asked is not None:
            asked.append((factor, level, z.numpy()))
        return z

    return draw


def test_still_codes_and_votes_agree_with_their_literal_twin():
    v, asked = levels(), []
    z = torch.cat([perfect(v), torch.ones(1000, 1).double()], 1)

    def draw(*request):
        return torch.cat([drawing(0.5, asked)(*request), torch.ones(16, 1).double()], 1)

    method = FactorVAEScore(votes=40, batch=16)
    held, still = method.cast(known("X", z, v), draw)
    order = [int(row) for k in range(4) for row in (held == k).nonzero()[:, 0]]
    whole = [np.var(code, ddof=1) for code in z.numpy().T]
    assert len(asked) == 80 and {(k, at) for k, at, _ in asked} <= {
        (k, at) for k in range(4) for at in range(SIZES[k])
    }
    for row, (k, _, given) in zip(order, asked, strict=True):
        share = [np.var(given[:, i], ddof=1) / whole[i] for i in range(6)]  # the last never moves
        assert (int(held[row]), int(still[row])) == (k, int(np.argmin(share)))
    found = method(z, v, draw=draw)
    votes = np.zeros((7, 4), dtype=int)
    for row in range(40):
        votes[int(still[row]), int(held[row])] += 1
    right = [
        votes[int(still[row])].any() and votes[int(still[row])].argmax() == int(held[row])
        for row in range(40, 80)
    ]
    assert found.votes.tolist() == votes.tolist()
    assert found.score.value == pytest.approx(sum(right) / 40) and found.score.n == 40
    for k in range(4):
        mine = [ok for row, ok in zip(range(40, 80), right, strict=True) if int(held[row]) == k]
        assert float(found.each[k]) == pytest.approx(np.mean(mine))


def test_variances_of_the_sample_are_among_pictures_that_share_a_level():
    v = levels(200)
    z = torch.from_numpy(v.astype(float))
    for k in range(4):
        spread = QUICK.spread(known("X", z, v), k, 50, 0)
        assert (spread[:, k] == 0).all()
        assert (spread[:, [i for i in range(4) if i != k]] > 0).all()
    many = FactorVAEScore(batch=4000).spread(known("X", z, v), 0, 30, 0)
    want = {round(float(np.var(v[v[:, 0] == at, 3])), 1) for at in range(3)}
    assert all(min(abs(float(one) - at) for at in want) < 0.8 for one in many[:, 3])


def test_a_perfect_code_is_always_right_and_stands_for_its_factor():
    v = levels()
    found = QUICK(perfect(v)[:, [4, 2, 0, 3, 1, 5]], v, list("abcd"))
    assert found.score.value == 1 and found.score.beats_control
    assert found.factor_of.tolist() == [-1, 2, 0, 3, 1, -1] and found.each.tolist() == [1] * 4
    assert QUICK(perfect(v), v, draw=drawing()).score.value == 1
    assert found.votes.sum() == 200 and found.votes.dtype == torch.int64


def test_turning_lowers_it():
    v = levels(sizes=(6, 6, 6, 6))
    scores = [QUICK(z, v).score.value for z in (perfect(v), turned(perfect(v), 4))]
    assert scores[0] == 1 and scores[1] < 0.9


def test_noise_scores_like_its_control_about_one_in_as_many_as_factors():
    score = QUICK(noise(), levels()).score
    assert score.value == pytest.approx(0.25, abs=0.08) and not score.beats_control
    assert score.control == pytest.approx(0.25, abs=0.08)


def test_order_and_scale_of_codes_change_nothing():
    v = levels()
    z, order = turned(perfect(v)), [5, 3, 1, 0, 2, 4]
    one, other = QUICK(z, v), QUICK(8 * z[:, order], v)
    assert one.score == other.score and torch.equal(one.votes[order], other.votes)


def test_the_same_seed_casts_the_same_votes():
    v = levels()
    z = turned(perfect(v))
    assert torch.equal(QUICK(z, v).votes, QUICK(z, v).votes)
    other = FactorVAEScore(votes=200, batch=32, seed=1)(z, v)
    assert not torch.equal(QUICK(z, v).votes, other.votes)


def test_larger_batches_make_the_stillest_code_plainer():
    v = levels(4000)
    z = perfect(v, blur=1.0)
    small, large = (FactorVAEScore(votes=300, batch=b)(z, v).score.value for b in (3, 100))
    assert large > small + 0.2


def test_what_cannot_be_voted_on_is_refused():
    v = levels(40, (3, 5))
    with pytest.raises(BadInput) as caught:
        FactorVAEScore(batch=1)
    assert str(caught.value) == (
        "FactorVAEScore needs a vote and 2 pictures that share a level, or more; it got "
        "votes=800, batch=1."
    )
    with pytest.raises(BadInput) as caught:
        QUICK(torch.ones(40, 3).double(), v)
    assert str(caught.value) == (
        "FactorVAEScore needs a code that changes; all 3 are the same in all 40 pictures. Look at "
        "the encoder."
    )
    with pytest.raises(BadInput) as caught:
        QUICK(noise(40), np.arange(40)[:, None], ["number"])
    assert str(caught.value) == (
        "FactorVAEScore needs 8 pictures that share a level of 'number'; none has so many. "
        "Give more pictures, or `draw`."
    )
    with pytest.raises(BadInput) as caught:
        QUICK(noise(40), v, draw=lambda k, level, count, seed: noise(count, 2))
    assert str(caught.value) == (
        "FactorVAEScore asked `draw` for 32 pictures' 6 codes; it got (32, 2). Return that many."
    )
