from itertools import permutations

import pytest
import torch
from torch.nn.functional import normalize

from legenda.errors import BadInput, ShapeError
from legenda.score.stability import Stability
from tests.score.concept_toys import lot


def atoms(k=5, d=6, seed=0):
    return torch.randn(k, d, generator=lot(seed))


def literal(one, other, signed=True):
    """Equation (1), every matching tried; `one` is not the larger."""
    cosine = normalize(one.double(), dim=1) @ normalize(other.double(), dim=1).T
    cosine = cosine if signed else cosine.abs()
    ways = permutations(range(len(other)), len(one))
    return max(float(sum(cosine[i, j] for i, j in enumerate(way))) / len(one) for way in ways)


@pytest.mark.parametrize("signed", [True, False])
def test_stability_agrees_with_trying_every_matching(signed):
    seeds = [atoms(4), atoms(5, seed=1), atoms(6, seed=2)]
    want = [
        literal(a, b, signed)
        for a, b in ((seeds[0], seeds[1]), (seeds[0], seeds[2]), (seeds[1], seeds[2]))
    ]  # noqa: E501
    found = Stability(signed)(seeds)
    got = [float(match.cosine.mean()) for match in found.matches]
    assert got == pytest.approx(want, rel=1e-9)
    assert found.score.value == pytest.approx(sum(want) / 3, rel=1e-9)
    assert [match.seeds for match in found.matches] == [(0, 1), (0, 2), (1, 2)]
    assert found.score.n == 4 and found.alive == (4, 5, 6)


def test_order_and_length_of_atoms_do_not_count():
    one = atoms(20, 12)
    order = torch.randperm(20, generator=lot(3))
    found = Stability()([one, one[order] * (1 + torch.rand(20, 1, generator=lot(4)))])
    assert found.score.value == pytest.approx(1) and found.score.beats_control
    match = found.matches[0]
    assert torch.equal(order[match.second], match.first)


def test_a_negative_atom_is_the_same_feature_only_unsigned():
    one = atoms(20, 40)
    assert Stability(signed=False)([one, -one]).score.value == pytest.approx(1)
    assert Stability()([one, -one]).score.value < 0.5


def test_planted_atoms_are_found_among_dead_ones():
    """Half of the atoms are shared, the others are new, and dead ones would match nothing."""
    shared, mine, theirs = atoms(10, 64), atoms(10, 64, 1), atoms(10, 64, 2)
    dead = torch.zeros(5, 64)
    one, other = torch.cat([shared, mine, dead]), torch.cat([theirs, dead, shared])
    alive = [torch.arange(25) < 20, (torch.arange(25) < 10) | (torch.arange(25) >= 15)]
    found = Stability()([one, other], alive)
    pairs = dict(
        zip(found.matches[0].first.tolist(), found.matches[0].second.tolist(), strict=True)
    )  # noqa: E501
    assert all(pairs[i] == 15 + i for i in range(10)) and found.alive == (20, 20)
    assert 0.5 < found.score.value < 0.75
    worse = Stability()([one, other], [torch.arange(25) < 25] * 2)
    assert worse.alive == (20, 20)  # an atom of zeros is never alive


def test_random_atoms_score_like_the_control():
    found = Stability(seed=7)([atoms(60, 16), atoms(60, 16, 1), atoms(60, 16, 2)])
    assert found.score.control is not None
    assert found.score.value == pytest.approx(found.score.control, abs=0.03)
    assert not found.score.beats_control and found.score.value > 0.4  # chance is far from 0
    few = Stability(seed=7)([atoms(10, 16), atoms(10, 16, 1)]).score.control
    assert few is not None and few < found.score.control


def test_noise_lowers_stability_and_the_seed_repeats():
    one = atoms(30, 20)
    lots = [Stability()([one, one + s * atoms(30, 20, 5)]).score for s in (0.1, 0.5, 2.0)]
    values = [score.value for score in lots]
    assert values == sorted(values, reverse=True)
    assert lots[0] == Stability()([one, one + 0.1 * atoms(30, 20, 5)]).score
    assert lots[1].interval[0] < lots[1].value < lots[1].interval[1]


def test_dictionaries_that_cannot_be_compared_are_refused():
    with pytest.raises(ShapeError) as caught:
        Stability()([atoms(3, 4), atoms(3, 5)])
    assert str(caught.value) == (
        "Stability compares two dictionaries or more of one width; it got [(3, 4), (3, 5)]. "
        "Give one (k d) for each seed."
    )
    with pytest.raises(ShapeError) as caught:
        Stability()([atoms(3), atoms(4)], [torch.ones(3, dtype=torch.bool)])
    assert str(caught.value) == (
        "Stability needs to know of each atom whether it is alive; the dictionaries hold [3, 4], "
        "it was told of [3]."
    )
    with pytest.raises(BadInput) as caught:
        Stability()([atoms(3), torch.zeros(2, 6)])
    assert str(caught.value) == (
        "Stability needs atoms that are alive; the dictionaries have [3, 0]. "
        "Leave the empty one out."
    )
    with pytest.raises(BadInput) as caught:
        Stability()([atoms(3), atoms(3) / 0])
    assert str(caught.value) == (
        "Stability needs finite atoms; it got NaN or infinity. Leave that seed out."
    )
