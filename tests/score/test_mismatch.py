from statistics import mean, stdev

import pytest
import torch

from legenda.errors import BadInput, ShapeError
from legenda.score.mismatch import MismatchAUROC, flag, flag_by


def cosines(b, r, seed):
    return torch.randn(b, r, generator=torch.Generator().manual_seed(seed))


def test_the_flag_agrees_with_its_literal_twin():
    clean, texts, images = cosines(4, 1, 0)[:, 0], cosines(4, 9, 1), cosines(4, 7, 2)
    want = []
    for c, t, i in zip(clean.tolist(), texts.tolist(), images.tolist(), strict=True):
        want.append(-((c - mean(t)) / stdev(t) + (c - mean(i)) / stdev(i)) / 2)
    torch.testing.assert_close(flag(clean, texts, images), torch.tensor(want))


def test_a_pair_that_stands_out_is_not_flagged():
    texts, images = cosines(3, 50, 1), cosines(3, 50, 2)
    got = flag(torch.tensor([-4.0, 0.0, 4.0]), texts, images)
    assert got[0] > 2 and abs(got[1]) < 0.5 and got[2] < -2


def test_a_picture_that_agrees_with_everything_is_judged_by_its_own_measure():
    clean, texts, images = cosines(4, 1, 0)[:, 0], cosines(4, 9, 1), cosines(4, 7, 2)
    shifted = flag(3 * clean + 5, 3 * texts + 5, 3 * images + 5)
    torch.testing.assert_close(shifted, flag(clean, texts, images), rtol=1e-4, atol=1e-4)


def test_auroc_of_a_planted_flag():
    matched, swapped = cosines(1, 40, 0)[0] - 3, cosines(1, 30, 1)[0] + 3
    found = MismatchAUROC()(matched, swapped)
    assert found.value > 0.99 and found.n == 70 and found.beats_control
    assert MismatchAUROC()(swapped, matched).value == pytest.approx(1 - found.value)
    pairs = [(s > m) + 0.5 * (s == m) for s in swapped.tolist() for m in matched.tolist()]
    assert found.value == pytest.approx(sum(pairs) / len(pairs))


def test_flags_from_the_figures_of_the_bottleneck():
    figures = {
        "clean": torch.tensor([0.8, 0.2]),
        "blocked": torch.tensor([0.1, 0.1]),
        "bottlenecked": torch.tensor([0.7, 0.1]),
        "kept": torch.tensor([0.3, 0.1]),
    }
    for sign in ("clean", "bottlenecked", "gain", "kept"):
        got = flag_by(figures, sign)
        assert got[1] > got[0], sign
    torch.testing.assert_close(flag_by(figures), torch.tensor([-0.6, 0.0]))


def test_missing_figures_are_refused():
    with pytest.raises(BadInput) as caught:
        flag_by({"clean": torch.zeros(2)}, "gain")
    assert str(caught.value) == (
        "the flag 'gain' needs the figures bottlenecked, blocked; there are clean. "
        "Explain by InformationBottleneck."
    )


@pytest.mark.parametrize("shape", [(3, 9), (4,), (4, 1)])
def test_too_few_references_are_refused(shape):
    with pytest.raises(ShapeError) as caught:
        flag(torch.zeros(4), torch.zeros(shape), torch.zeros(4, 9))
    assert str(caught.value) == (
        "a flag needs at least two reference cosines for each of 4 pairs, (4, r); it got "
        f"{shape}. Embed more references."
    )


def test_no_flags_are_refused():
    with pytest.raises(BadInput) as caught:
        MismatchAUROC()(torch.zeros(0), torch.zeros(3))
    assert str(caught.value) == (
        "mismatch needs flags of matched and of swapped pairs; it got 0 and 3. Give some of each."
    )
