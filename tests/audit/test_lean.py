import pytest
import torch
from scipy import stats

from legenda.audit.lean import GroupLean
from legenda.core.effect import cliffs_delta_interval
from legenda.errors import BadInput

A, B = (1, 2, 3, 7), (4, 5, 7)


def tokens(count=60, more=0, kinds=40, seed=0):
    """Images of evenly drawn tokens; in each, up to `more` random cells hold a token of a."""
    lot = torch.Generator().manual_seed(seed)
    grids = torch.randint(kinds, (count, 64), generator=lot)
    for grid in grids:
        cells = torch.randperm(64, generator=lot)[:more]
        grid[cells] = torch.tensor(A[:3])[torch.randint(3, (more,), generator=lot)]
    return grids


def slow_twin(grids, a, b):
    """Equations (1) and (2), cell by cell and pair by pair."""
    a, b = set(a) - set(b), set(b) - set(a)
    counts = [[sum(t in own for t in grid) for own in (a, b)] for grid in grids.tolist()]
    won = sum(x > y for x, _ in counts for _, y in counts)
    lost = sum(x < y for x, _ in counts for _, y in counts)
    return counts, (won - lost) / len(grids) ** 2


@pytest.mark.parametrize("more", [0, 3])
def test_it_is_the_slow_twin(more):
    grids = tokens(more=more)
    counts, delta = slow_twin(grids, A, B)
    found = GroupLean(draws=100, controls=5)(grids, A, B)
    assert found.counts.tolist() == counts
    assert found.delta == delta
    assert found.lists == ((1, 2, 3), (4, 5)) and found.shared == (7,) and found.n == 60


def test_its_tests_are_paired():
    found = GroupLean(draws=100, controls=5)(tokens(), A, B)
    a, b = found.counts.unbind(1)
    won, lost = int((a > b).sum()), int((a < b).sum())
    assert found.sign == pytest.approx(stats.binomtest(won, won + lost).pvalue, rel=1e-12)
    assert found.wilcoxon == stats.wilcoxon(a.numpy(), b.numpy()).pvalue
    assert found.interval == cliffs_delta_interval(a, b, 0, 100, paired=True)


def test_it_finds_the_planted_lean_and_its_direction():
    grids = tokens(more=6)
    found = GroupLean(groups=("doctor", "nurse"), controls=100)(grids, A, B)
    assert found.delta > 0.8 and found.interval[0] > 0.5 and found.magnitude == "large"
    assert found.wilcoxon < 1e-6 and found.sign < 1e-6
    assert found.beyond < 0.1, "few random lists lean as far"
    turned = GroupLean(controls=100)(grids, B, A)
    assert turned.delta == -found.delta


def test_no_lean_is_not_found():
    far = 0
    for seed in range(20):
        found = GroupLean(draws=200, controls=50, seed=seed)(tokens(seed=seed), (1, 2), (4, 5))
        far += found.beyond <= 0.05
        assert abs(found.delta) < 0.4
        assert abs(found.control_mean) < 3 * found.control_spread
    assert far <= 3


def test_common_tokens_look_like_a_lean_until_the_control_is_read():
    grids = tokens(kinds=20)
    swapped = torch.rand(60, 64, generator=torch.Generator().manual_seed(1)) < 0.5
    grids[swapped] %= 10  # tokens 0 to 9 are three times as frequent, in every image
    found = GroupLean(controls=200)(grids, (1,), (14,))
    assert found.delta > 0.7 and found.sign < 1e-6
    assert found.beyond > 0.15, "random lists differ as much, for the same reason"
    assert found.control_interval[1] > found.delta


def test_same_seed_same_numbers():
    grids = tokens()
    one, same = (GroupLean(draws=50, controls=9, seed=4)(grids, A, B) for _ in range(2))
    other = GroupLean(draws=50, controls=9, seed=5)(grids, A, B)
    assert one.interval == same.interval and torch.equal(one.control, same.control)
    assert not torch.equal(one.control, other.control)
    assert eval(repr(GroupLean(seed=3))) == GroupLean(seed=3)


def test_a_token_that_occurs_nowhere_changes_nothing():
    grids = tokens()
    with_ = GroupLean(draws=50, controls=2)(grids, (*A, 10**12), B)
    assert with_.delta == GroupLean(draws=50, controls=2)(grids, A, B).delta


def test_equal_counts_are_no_lean():
    grids = torch.arange(20).expand(6, 20)
    found = GroupLean(draws=50, controls=5)(grids, (1, 2), (3, 4))
    assert (found.delta, found.wilcoxon, found.sign) == (0.0, 1.0, 1.0)


def refused(grids, a, b, **how):
    with pytest.raises(BadInput) as error:
        GroupLean(**how)(grids, a, b)
    return str(error.value)


def test_refusals():
    grids, groups = tokens(), ("cat", "dog")
    assert refused(grids, A, (), groups=groups) == (
        "GroupLean compares two lists of tokens, of 'cat' and 'dog'; it got 4 and 0 tokens. "
        "Give some of each."
    )
    assert refused(grids, (1, 2), (2, 1), groups=groups) == (
        "the lists of 'cat' and 'dog' share 2 tokens, which leaves 0 and 0. "
        "Take longer lists, or tokens that tell the groups apart."
    )
    assert refused(grids, (1, 2, 3), (2, 1), groups=groups) == (
        "the lists of 'cat' and 'dog' share 2 tokens, which leaves 1 and 0. "
        "Take longer lists, or tokens that tell the groups apart."
    )
    assert refused(grids[:4], A, B) == "GroupLean needs 5 images or more; it got 4."
    assert refused(grids, (100, 101), (102,), groups=groups) == (
        "none of the 3 tokens of 'cat' and 'dog' occurs in these 60 images. "
        "Check that images and lists come from one tokenizer."
    )
    assert refused(grids % 6, range(3, 9), range(3)) == (
        "GroupLean draws its control from the tokens that occur; two lists of 6 and 3 need 9, "
        "and 6 occur in these images. Give shorter lists or more images."
    )
    with pytest.raises(BadInput) as error:
        GroupLean(draws=0)
    assert str(error.value) == (
        "GroupLean needs at least one draw and one control, and a level between 0 and 1; "
        "it got draws=0, controls=200, level=0.95."
    )
