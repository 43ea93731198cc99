"""Factor information against double loops, and against channels whose information is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from legenda.errors import BadInput, ShapeError
from legenda.score.factor_information import FactorInformation, binned, known, resampled
from tests.score.disentanglement_world import (
    SIZES,
    bootstrapped,
    levels,
    noise,
    perfect,
    turned,
    unwrapped,
)


def by_hand(z, bins, by):
    """Bins, one code and one picture at a time."""
    n, cells = len(z), np.empty(z.shape, dtype=int)
    for i in range(z.shape[1]):
        code = z[:, i]
        if by == "width":
            edges = np.histogram(code, bins)[1][1:-1]
        else:
            edges = np.sort(code)[[math.ceil(b * n / bins) for b in range(1, bins)]]
        for row in range(n):
            cells[row, i] = sum(code[row] >= edge for edge in edges)
    return cells


def literal(cells, v):
    """Equation (1) by sklearn, pair by pair."""
    return np.array([[mutual_info_score(level, cell) for level in v.T] for cell in cells.T])


@pytest.mark.parametrize("by", ["mass", "width"])
def test_information_agrees_with_its_literal_twin(by):
    v = levels(200)
    z = turned(perfect(v, 1))
    found = FactorInformation(by=by, correction="none")(z, v)
    cells = by_hand(z.numpy(), 20, by)
    assert binned(z, 20, by).numpy().tolist() == cells.tolist()
    np.testing.assert_allclose(found.nats, literal(cells, v), atol=1e-12)
    np.testing.assert_allclose(found.pointwise.mean(0), found.nats, atol=1e-12)
    h = [entropy(np.bincount(level)) for level in v.T]
    np.testing.assert_allclose(found.entropy, h, atol=1e-12)
    np.testing.assert_allclose(found.share, literal(cells, v) / h, atol=1e-12)


def test_chance_is_what_permuted_pictures_give():
    v, z = levels(120), noise(120, 3)
    found = FactorInformation(permutations=4, seed=5)(z, v)
    lot, cells = torch.Generator().manual_seed(5), by_hand(z.numpy(), 20, "mass")
    null = np.stack([literal(cells, v[torch.randperm(120, generator=lot)]) for _ in range(4)])
    np.testing.assert_allclose(found.chance, null.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.spread, null.std(0, ddof=1), atol=1e-12)
    np.testing.assert_allclose(found.nats, literal(cells, v) - null.mean(0), atol=1e-12)


def test_miller_and_madow_count_what_is_not_empty():
    v, z = levels(90), turned(perfect(levels(90), 1))
    found = FactorInformation(correction="miller-madow")(z, v)
    cells = by_hand(z.numpy(), 20, "mass")
    for i in range(z.shape[1]):
        for k in range(v.shape[1]):
            pairs = len(set(zip(cells[:, i].tolist(), v[:, k].tolist(), strict=True)))
            alone = len(set(cells[:, i].tolist())) + len(set(v[:, k].tolist()))
            want = mutual_info_score(v[:, k], cells[:, i]) - (pairs - alone + 1) / 180
            assert float(found.nats[i, k]) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("correction", ["permutation", "miller-madow"])
def test_noise_says_nothing_once_corrected(correction):
    v, z = levels(2000), noise(2000, 5)
    plain = FactorInformation(correction="none")(z, v)
    found = FactorInformation(correction=correction)(z, v)
    assert float(plain.nats[:, 3].mean()) > 0.04  # 19 · 11 / 4000 nats that are not there
    assert float(found.nats.abs().max()) < 0.02 and abs(float(found.nats.mean())) < 0.003
    assert not found.told_apart().any()


def test_a_channel_of_known_information():
    """A bit that is read wrongly one time in ten: log 2 - H(0.1) nats."""
    lot = np.random.default_rng(0)
    v = lot.integers(0, 2, (4000, 1))
    z = torch.from_numpy((v ^ (lot.random((4000, 1)) < 0.1)).astype(float))
    found = FactorInformation()(z, v)
    truth = math.log(2) - entropy([0.1, 0.9])
    low, high = found.interval[:, 0, 0].tolist()
    assert low < truth < high and high - low < 0.06
    assert found.told_apart().all()


def test_a_perfect_code_says_all_there_is_to_say():
    v = levels()
    plain = FactorInformation(correction="none")(perfect(v), v)
    torch.testing.assert_close(plain.share.diagonal(), torch.ones(4, dtype=torch.float64))
    found = FactorInformation()(perfect(v), v)
    assert (found.share.diagonal() > 0.9).all() and (found.share[4:].abs() < 0.03).all()
    assert found.told_apart().tolist() == [[i == k for k in range(4)] for i in range(6)]
    blurred = FactorInformation()(perfect(v, blur=1.0), v)
    assert (blurred.nats.diagonal() < found.nats.diagonal() - 0.3).all()


def test_twenty_bins_cannot_tell_forty_levels_apart():
    v = np.arange(4000)[:, None] % 40
    z = torch.from_numpy(v.astype(float))
    assert float(FactorInformation(correction="none")(z, v).nats) == pytest.approx(math.log(20))
    fine = FactorInformation(bins=40, correction="none")(z, v)
    assert float(fine.share) == pytest.approx(1)


def test_any_rising_map_of_a_code_changes_nothing():
    v = levels(300)
    z = turned(perfect(v))
    one, other = FactorInformation()(z, v), FactorInformation()((3 * z + 7).exp(), v)
    assert torch.equal(one.nats, other.nats) and torch.equal(one.interval, other.interval)
    wide = FactorInformation(by="width")
    torch.testing.assert_close(wide(z, v).nats, wide(4 * z, v).nats)
    assert not torch.allclose(wide(z, v).nats, wide(z.exp(), v).nats, atol=1e-3)


def test_codes_may_come_in_any_order_and_levels_by_any_number():
    v, order = levels(300), [3, 0, 5, 1, 4, 2]
    z = turned(perfect(v))
    one, other = FactorInformation()(z, v), FactorInformation()(z[:, order], v)
    torch.testing.assert_close(one.nats[order], other.nats, atol=1e-12, rtol=0)
    far = FactorInformation()(z.numpy(), torch.from_numpy(v * 1000 - 7), names=list("abcd"))
    assert torch.equal(one.nats, far.nats)
    assert far.factors == ("a", "b", "c", "d") and one.factors[1] == "factor 1"


def test_the_interval_is_about_that_of_a_bootstrap_over_pictures():
    v = levels(600)
    z = perfect(v, blur=0.5)
    found = FactorInformation(bins=8)(z, v)
    cells = binned(z, 8).numpy()
    for i, k in ((1, 1), (3, 3)):
        want = bootstrapped(lambda rows: mutual_info_score(v[rows, k], cells[rows, i]), 600)  # noqa: B023
        low, high = found.interval[:, i, k].tolist()
        assert low < float(found.nats[i, k]) < high
        assert high - low == pytest.approx(want, rel=0.25)


def test_many_means_are_resampled_together():
    values = noise(50, 3)
    found = resampled(values, 4, 400)
    lot = torch.Generator().manual_seed(4)
    pick = torch.randint(50, (400, 50), generator=lot)
    want = np.quantile(values.numpy()[pick.numpy()].mean(1), [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found, want, atol=1e-12)


def test_a_code_that_never_changes_says_nothing():
    v = levels(100)
    z = torch.cat([perfect(v), torch.full((100, 1), 0.3, dtype=torch.float64)], 1)
    for by in ("mass", "width"):
        found = FactorInformation(by=by)(z, v)
        assert found.nats[6].tolist() == [0, 0, 0, 0] and not found.told_apart()[6].any()


def test_factors_of_few_levels_are_classes_unless_told_otherwise():
    v = levels()
    assert known("X", perfect(v), v).ordered == (False, True, True, True)
    assert known("X", perfect(v), v, ordered=[True] * 4).ordered == (True,) * 4
    assert (known("X", perfect(v), v).levels.amax(0) + 1).tolist() == list(SIZES)


def test_the_control_deals_whole_pictures():
    v = levels()
    data = known("X", perfect(v), v)
    null = data.permuted(3)
    rows = {tuple(row) for row in v.tolist()}
    assert {tuple(row) for row in null.levels.tolist()} == rows
    assert torch.equal(null.levels, null.given) and not torch.equal(null.levels, data.levels)
    assert torch.equal(data.permuted(3).levels, null.levels)


def test_what_cannot_be_measured_is_refused():
    v, check = levels(20), unwrapped(known)
    z = perfect(v)
    for call, kind, text in (
        (lambda: check("MIG", z[:9], v), ShapeError,
         "MIG needs codes (n d) and levels of factors (n f) of the same pictures; it got (9, 6) "
         "and (20, 4). Give both for all pictures."),
        (lambda: check("MIG", z / 0, v), BadInput,
         "MIG needs finite codes and whole numbers for levels; it got torch.int64 levels and 120 "
         "codes that are not finite. Mend or leave out those."),
        (lambda: check("MIG", z, v / 2), BadInput,
         "MIG needs finite codes and whole numbers for levels; it got torch.float64 levels and 0 "
         "codes that are not finite. Mend or leave out those."),
        (lambda: check("MIG", z[:5], v[:5], least=(2, 1)), BadInput,
         "MIG needs 8 pictures, 2 codes and 1 factors or more; it got 5, 6 and 4."),
        (lambda: check("MIG", z, v, ["a"]), BadInput,
         "MIG needs a name, and whether its levels are ordered, for each of 4 factors; it got 1 "
         "and 4. Give one of each, or none."),
        (lambda: check("MIG", z, v * [1, 1, 0, 1], list("abcd")), BadInput,
         "MIG needs factors that change; 'c' has one level in all 20 pictures. Leave it out."),
        (lambda: FactorInformation(bins=1), BadInput,
         "FactorInformation cuts by mass or width into 2 bins or more, and corrects by "
         "permutation, miller-madow, none, with 2 permutations or more; it got "
         "FactorInformation(bins=1, by='mass', correction='permutation', permutations=20, "
         "seed=0)."),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value) == text
