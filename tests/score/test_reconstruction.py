import math

import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput, ShapeError
from legenda.score.reconstruction import (
    by_prefix,
    dealt,
    explained,
    merged,
    reconstruction,
    shuffled_cosine,
    shuffled_fvu,
    tally,
)
from tests.score.concept_toys import lot, mixed, resampled, sparse

CODES = sparse(mixed(b=10, k=8))


def acts(b=10, seed=0, offset=3.0):
    return offset + torch.randn(b, 42, 5, generator=lot(seed)).cumsum(2)


def guess(x, noise=0.4, seed=1):
    return x + noise * torch.randn(x.shape, generator=lot(seed))


def literal(x, y, codes):
    """Equations (1) to (4), row by row."""
    rows, made = x.double().flatten(0, 1), y.double().flatten(0, 1)
    mean = rows.mean(0)
    error = sum(float(((a - b) ** 2).sum()) for a, b in zip(rows, made, strict=True))
    whole = sum(float(((a - mean) ** 2).sum()) for a in rows)
    alike = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in zip(rows, made, strict=True)]
    on = [int((w != 0).sum()) for w in codes.weight.flatten(0, 1)]
    used = {int(i) for i, w in zip(codes.index.flatten(), codes.weight.flatten(), strict=True) if w}
    return error / whole, sum(alike) / len(alike), sum(on) / len(on), 1 - len(used) / codes.size


def test_the_measures_agree_with_their_literal_twin():
    x = acts()
    y = guess(x)
    codes = Codes(CODES.index, CODES.weight * (CODES.index != 3), 8)
    found = reconstruction(tally(x, y, codes))
    want = literal(x, y, codes)
    got = (found.fvu.value, found.cosine.value, found.l0.value, found.dead.value)
    assert got == pytest.approx(want, rel=1e-9) and found.dead.value == 1 / 8
    assert found.rows == 420 and found.fvu.n == 10 and found.dead.n == 8
    many = (codes.weight != 0).sum(2).double()
    assert found.spread == pytest.approx(float(many.std(correction=0)), rel=1e-9)


def test_batches_change_no_bit():
    x = acts()
    y = guess(x)
    one = reconstruction(tally(x, y, CODES))
    rows = torch.arange(10).split(3)
    pieces = [tally(x[r], y[r], Codes(CODES.index[r], CODES.weight[r], 8)) for r in rows]
    assert reconstruction(merged(pieces)) == one
    alone = [
        tally(x[r], y[r], Codes(CODES.index[r], CODES.weight[r], 8))
        for r in rows
        for r in r.split(1)
    ]  # noqa: E501
    assert reconstruction(merged(alone)) == one


def test_the_mean_alone_leaves_all_variance_and_the_truth_none():
    x = acts()
    mean = x.mean((0, 1)).expand_as(x)
    assert reconstruction(tally(x, mean, CODES)).fvu.value == pytest.approx(1, abs=1e-6)
    assert reconstruction(tally(x, x, CODES)).fvu.value == 0
    assert reconstruction(tally(x, x, CODES)).cosine.value == pytest.approx(1)
    worse = [reconstruction(tally(x, guess(x, s), CODES)).fvu.value for s in (0.1, 0.5, 2.0)]
    assert worse == sorted(worse)


def test_a_far_mean_costs_no_digit():
    x = acts(offset=0.0).double()
    y = guess(x)
    near, far = (reconstruction(tally(x + s, y + s, CODES)).fvu.value for s in (0.0, 1e6))
    assert far == pytest.approx(near, rel=1e-7)


def test_shuffled_rows_are_all_pairs_of_rows():
    x = acts(4, offset=1.0)
    y = guess(x, 2.0)
    found = tally(x, y, Codes(CODES.index[:4], CODES.weight[:4], 8))
    rows, made = x.double().flatten(0, 1), y.double().flatten(0, 1)
    pairs = (rows[:, None] - made[None]).pow(2).sum(2).mean(1).sum()
    want = float(pairs / (rows - rows.mean(0)).pow(2).sum())
    assert float(shuffled_fvu(found).mean()) == pytest.approx(want, rel=1e-9)
    alike = torch.cosine_similarity(rows[:, None], made[None], dim=2).mean()
    assert float(shuffled_cosine(found).mean()) == pytest.approx(float(alike), rel=1e-9)
    kept = reconstruction(tally(x, guess(x), Codes(CODES.index[:4], CODES.weight[:4], 8)))
    assert kept.fvu.beats_control and kept.cosine.beats_control


def test_the_dealt_share_is_what_dealing_gives():
    g, hands = lot(5), []
    many = (CODES.weight != 0).sum(2).flatten()[:6]
    for _ in range(4000):
        used = torch.zeros(8, dtype=torch.bool)
        for count in many.tolist():
            used[torch.rand(8, generator=g).argsort()[:count]] = True
        hands.append(float((~used).double().mean()))
    short = Codes(CODES.index[:1, :6], CODES.weight[:1, :6], 8)
    got = dealt(tally(acts()[:1, :6], acts()[:1, :6], short))
    assert got == pytest.approx(sum(hands) / len(hands), abs=0.01) and got > 0.05


def test_a_random_dictionary_may_be_the_control():
    x = acts()
    bad = Codes(CODES.index[..., :1], torch.ones_like(CODES.weight[..., :1]), 8)
    found = reconstruction(tally(x, guess(x), CODES), tally(x, guess(x, 3.0), bad))
    alone = reconstruction(tally(x, guess(x, 3.0), bad))
    assert found.fvu.control == alone.fvu.value and found.fvu.beats_control
    assert found.l0.control == 1 and found.dead.control == alone.dead.value
    assert found.cosine.control_interval == alone.cosine.interval


@pytest.mark.parametrize("of", ["fvu", "cosine", "fvu-control", "cosine-control"])
def test_intervals_are_those_of_a_bootstrap_over_images(of):
    x = acts(60, offset=0.5) * torch.linspace(0.5, 2, 60)[:, None, None]
    y = guess(x, 1.0) * torch.linspace(1, 1.3, 60)[:, None, None]
    y = y + 4 * torch.randn(60, 1, 1, generator=lot(7)) - 9  # the means are apart, and move
    codes = sparse(mixed(b=60, k=8))

    def at(rows):
        found = reconstruction_of(x[rows], y[rows], Codes(codes.index[rows], codes.weight[rows], 8))
        side = found[of.startswith("cosine")]
        return float(side[of.endswith("control")].mean())

    got = reconstruction(tally(x, y, codes))
    score = got.cosine if of.startswith("cosine") else got.fvu
    found = score.control_interval if of.endswith("control") else score.interval
    want = resampled(at, 60, draws=200)
    assert found is not None
    width = want[1] - want[0]
    assert found == pytest.approx(want, abs=0.2 * width) and width > 1e-3


def reconstruction_of(x, y, codes):
    from legenda.score.by_image import ratio
    from legenda.score.reconstruction import residual

    one = tally(x, y, codes)
    return (residual(one), shuffled_fvu(one)), (ratio(one.cosine, one.rows), shuffled_cosine(one))


def test_prefixes_explain_more_the_longer_they_are():
    g = lot(3)
    atoms = torch.randn(8, 5, generator=g)
    codes = CODES

    def decode(kept):
        return kept.dense() @ atoms

    x = decode(codes) + 0.01 * torch.randn(10, 42, 5, generator=g)
    found = explained(by_prefix(x, codes, decode, (2, 5, 8)))
    values = [found[size].value for size in (2, 5, 8)]
    assert values == sorted(values) and values[2] > 0.99
    want = 1 - literal(x, codes.dense()[..., :5] @ atoms[:5], codes)[0]
    assert values[1] == pytest.approx(want, rel=1e-6)
    assert found[5].interval[0] < values[1] < found[5].interval[1]
    assert found[8].beats_control and found[8].name == "explained"


def test_what_cannot_be_measured_is_refused():
    x = acts()
    raw = getattr(tally, "__wrapped__", tally)
    with pytest.raises(ShapeError) as caught:
        raw(x, x[:, :3], CODES)
    assert str(caught.value) == (
        "reconstruction compares activations (b n d) with what the codes (b n j) decode to; it got "
        "(10, 42, 5), (10, 3, 5) and codes of (10, 42, 8). Give all three for the same images."
    )
    with pytest.raises(BadInput) as caught:
        tally(x, x * math.nan, CODES)
    assert str(caught.value) == (
        "reconstruction needs finite activations; it got NaN or infinity. "
        "Find out where they come from."
    )
    same = torch.full_like(x, 0.1)
    with pytest.raises(BadInput) as caught:
        reconstruction(tally(same, same, CODES))
    assert str(caught.value) == (
        "reconstruction needs activations that differ; all 420 rows are the same. "
        "Open the model at a site that varies."
    )
    with pytest.raises(BadInput) as caught:
        merged([])
    assert str(caught.value) == (
        "reconstruction needs at least one batch; it got none. Give some images."
    )
