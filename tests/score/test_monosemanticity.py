import pytest
import torch
from torch.nn.functional import normalize

from legenda.errors import BadInput, ShapeError
from legenda.score.monosemanticity import CHUNK, Monosemanticity, checked
from tests.score.concept_toys import lot, mixed, resampled, sparse


def embeddings(b=12, e=6, seed=4):
    return torch.randn(b, e, generator=lot(seed))


def weights(b=12, k=6, share=0.3, seed=2):
    return torch.rand(b, k, generator=lot(seed)) * (
        torch.rand(b, k, generator=lot(seed + 1)) < share
    )  # noqa: E501


def literal(a, e):
    """Equation (1), every pair."""
    a = (a.double() - a.min()) / (a.max() - a.min())
    e = normalize(e.double(), dim=1)
    pairs = [(m, n) for m in range(len(a)) for n in range(len(a)) if m != n]
    above = sum(float(a[m] * a[n] * (e[m] @ e[n])) for m, n in pairs)
    return above / sum(float(a[m] * a[n]) for m, n in pairs)


def test_every_unit_agrees_with_its_literal_twin():
    w, e = weights(share=0.6), embeddings()
    w[:, 3] += 2  # a unit that is never quite off is stretched too
    found = Monosemanticity()(w, e)
    want = [literal(w[:, u], e) for u in range(6)]
    assert found.each.tolist() == pytest.approx(want, rel=1e-9)
    assert found.score.value == pytest.approx(sum(want) / 6) and found.score.n == 12


def test_codes_give_their_weights():
    dense = mixed(share=0.02)
    found = Monosemanticity()(sparse(dense).strongest(), embeddings())
    assert torch.equal(found.each, Monosemanticity()(dense.amax(1), embeddings()).each)


def test_a_unit_of_like_images_scores_above_one_of_unlike_images():
    """Three kinds of images; unit 0 keeps to one, unit 1 to two, unit 2 to none."""
    kind = torch.arange(60) % 3
    e = torch.eye(8)[kind] + 0.1 * embeddings(60, 8)
    strength = 0.5 + torch.rand(60, generator=lot(5))
    w = torch.stack([strength * (kind == 0), strength * (kind != 2), strength], 1)
    found = Monosemanticity()(w, e)
    first, second, third = found.each.tolist()
    assert first > 0.85 > 0.6 > second > third > 0.2
    assert Monosemanticity()(w[:, :1].repeat(1, 9), e).score.beats_control


def test_shuffled_activations_score_like_any_two_images():
    e = embeddings(40) + 1
    unit = normalize(e.double(), dim=1)
    any_two = float((unit @ unit.T).sum() - 40) / (40 * 39)
    found = Monosemanticity()(weights(40, 300), e).score
    assert found.control == pytest.approx(any_two, abs=0.01)
    assert found.value == pytest.approx(any_two, abs=0.01) and not found.beats_control


def test_dead_and_rare_units_are_left_out():
    w = weights(share=0.9)
    w[:, 1], w[:, 2], w[:, 4] = 0.0, 0.7, 0.0
    w[3, 4] = 1.0
    found = Monosemanticity()(w, embeddings())
    assert found.each.isnan().tolist() == [False, True, True, False, True, False]
    assert found.score.value == pytest.approx(float(found.each.nanmean()))
    single = Monosemanticity(least=1)(w, embeddings())  # one image is no pair
    assert single.each[4].isnan() and single.score == found.score
    assert Monosemanticity(least=13)(w, embeddings()).each.isnan().all()


def test_the_length_of_embeddings_and_the_scale_of_units_do_not_count():
    w, e = weights(share=0.5), embeddings()
    one = Monosemanticity()(w, e)
    other = Monosemanticity()(9 * w, e * torch.linspace(1, 5, 12)[:, None])
    torch.testing.assert_close(one.each, other.each)


def test_units_in_pieces_are_the_units_together():
    w, e = weights(8, CHUNK + 5, 0.7), embeddings(8)
    found = Monosemanticity()(w, e)
    torch.testing.assert_close(
        found.each[-5:], Monosemanticity()(w[:, -5:], e).each, rtol=1e-9, atol=0
    )  # noqa: E501


def test_the_interval_is_that_of_a_bootstrap_over_images():
    w, e = weights(60, 6, 0.6), embeddings(60) + 0.5
    unit = normalize(e.double(), dim=1)
    alike = unit @ unit.T
    low, high = w.amin(0), w.amax(0)
    a = ((w - low) / (high - low)).double()

    def at(rows):
        count = rows.bincount(minlength=60).double()  # two copies of one image are no pair
        both = (count[:, None] * a).T[:, :, None] * (count[:, None] * a).T[:, None]
        both = both * (1 - torch.eye(60, dtype=torch.float64))
        return float(((both * alike).sum((1, 2)) / both.sum((1, 2))).mean())

    want = resampled(at, 60)
    width = want[1] - want[0]
    assert Monosemanticity()(w, e).score.interval == pytest.approx(want, abs=0.2 * width)


def test_what_cannot_be_compared_is_refused():
    raw = getattr(checked, "__wrapped__", checked)
    with pytest.raises(ShapeError) as caught:
        raw(weights(5), embeddings(4))
    assert str(caught.value) == (
        "Monosemanticity needs the weights of k units and one embedding of the same images; it got "
        "(5, 6) and (4, 6). Give both for all images."
    )
    bad = embeddings()
    bad[2] = 0
    with pytest.raises(BadInput) as caught:
        Monosemanticity()(weights(), bad)
    assert str(caught.value) == (
        "Monosemanticity needs embeddings with a direction; 1 of 12 are zero. "
        "Leave those images out."
    )
    with pytest.raises(BadInput) as caught:
        Monosemanticity()(weights() / 0, embeddings())
    assert str(caught.value) == (
        "Monosemanticity needs finite weights and embeddings; it got NaN or infinity. "
        "Leave those images out."
    )
