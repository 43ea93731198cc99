import pytest
import torch

from legenda.errors import BadInput
from legenda.score.mismatch import MismatchAUROC


def cosines(b, r, seed):
    return torch.randn(b, r, generator=torch.Generator().manual_seed(seed))


def test_auroc_of_a_planted_flag():
    matched, swapped = cosines(1, 40, 0)[0] - 3, cosines(1, 30, 1)[0] + 3
    found = MismatchAUROC()(matched, swapped)
    assert found.value > 0.99 and found.n == 70 and found.beats_control
    assert MismatchAUROC()(swapped, matched).value == pytest.approx(1 - found.value)
    pairs = [(s > m) + 0.5 * (s == m) for s in swapped.tolist() for m in matched.tolist()]
    assert found.value == pytest.approx(sum(pairs) / len(pairs))


def test_no_flags_are_refused():
    with pytest.raises(BadInput) as caught:
        MismatchAUROC()(torch.zeros(0), torch.zeros(3))
    assert str(caught.value) == (
        "mismatch needs flags of matched and of swapped pairs; it got 0 and 3. Give some of each."
    )
