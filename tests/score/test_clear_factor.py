"""Which latents can be explained clearly, on codes planted so that the answer is known."""

import numpy as np
import pytest
import torch

from legenda.errors import BadInput, ShapeError
from legenda.score.clear_factor import ClearFactor
from legenda.score.factor_information import FactorInformation, Information
from tests.score.disentanglement_world import levels, noise, perfect, unwrapped

NAMES = ("shape", "size", "x", "y")


def said(rows) -> Information:
    """An information matrix written down."""
    nats = torch.tensor(rows, dtype=torch.float64)
    d, f = nats.shape
    return Information(
        nats, torch.stack([nats, nats]), 0 * nats, 0 * nats, torch.full((f,), 2.0).double(),
        nats.expand(9, d, f), NAMES[:f],
    )  # fmt: skip


def test_the_rule_is_the_one_that_was_fixed():
    assert repr(ClearFactor()) == ("ClearFactor(least_nats=0.1, least_information=0.25, share=0.6)")


def test_planted_latents_are_judged_as_planted():
    """One factor, an even mixture of two, noise, one factor weakly, and one that costs nothing."""
    v = levels(3000, (8, 8, 8, 8))
    z = perfect(v, 1)
    weak = z[:, 3] + 4 * noise(3000, 1, 9)[:, 0]
    codes = torch.stack([z[:, 0], z[:, 1] + z[:, 2], z[:, 4], weak, z[:, 2]], 1)
    found = ClearFactor()(
        FactorInformation()(codes, v, NAMES), torch.tensor([2.0, 2.0, 0.01, 1.0, 0.05])
    )
    assert found.active.tolist() == [True, True, False, True, False]
    assert found.clear.tolist() == [True, False, False, False, False]
    assert found.factor == ("shape", "", "", "", "")
    assert float(found.share[0]) > 0.95 and float(found.share[1]) == pytest.approx(0.5, abs=0.05)
    assert set(found.strongest[1].tolist()) == {1, 2} and int(found.strongest[3, 0]) == 3
    assert 0 < float(found.information[3, 0]) < 0.25 < float(found.information[1, 1])
    assert found.pictures == 3000


def test_the_rule_agrees_with_its_literal_twin():
    rows = np.random.default_rng(0).random((200, 4)) ** 3 - 0.02
    nats = torch.from_numpy(np.random.default_rng(1).random(200) * 0.3)
    found = ClearFactor()(said(rows.tolist()), nats)
    for i, row in enumerate(rows):
        kept = [max(0.0, one) for one in row]
        share = max(kept) / sum(kept) if sum(kept) else 0.0
        active = float(nats[i]) >= 0.1
        assert bool(found.active[i]) is active
        assert bool(found.clear[i]) is bool(active and max(kept) >= 0.25 and share >= 0.6)
        assert float(found.share[i]) == pytest.approx(share)
        assert found.information[i].tolist() == pytest.approx(sorted(kept)[:1:-1])
        assert [kept[k] for k in found.strongest[i].tolist()] == found.information[i].tolist()
    assert 5 < int(found.clear.sum()) < 150


def test_edges_belong_to_the_rule():
    """Each number is enough as it stands, and not a little below."""
    rows, cost = said([[0.25, 0.0], [0.25, 0.0], [0.24, 0.0], [0.75, 0.5], [0.74, 0.5]]), 0.1
    nats = torch.tensor([cost, cost - 1e-6, cost, cost, cost], dtype=torch.float64)
    assert ClearFactor()(rows, nats).clear.tolist() == [True, False, False, True, False]


def test_information_below_zero_counts_as_none():
    found = ClearFactor()(said([[0.3, -0.2, -0.2], [-0.1, -0.1, -0.1]]), torch.ones(2).double())
    assert found.clear.tolist() == [True, False] and found.share.tolist() == [1, 0]


def test_asking_more_leaves_fewer_clear():
    rows = said((np.random.default_rng(2).random((300, 4)) ** 3).tolist())
    nats = torch.from_numpy(np.random.default_rng(3).random(300))
    count = int(ClearFactor()(rows, nats).clear.sum())
    for stricter in (ClearFactor(0.5), ClearFactor(0.1, 0.6), ClearFactor(0.1, 0.25, 0.8)):
        clear = stricter(rows, nats).clear
        assert 0 < int(clear.sum()) < count and not (clear & ~ClearFactor()(rows, nats).clear).any()


def test_one_factor_alone():
    found = ClearFactor()(said([[0.4], [0.1]]), torch.ones(2).double())
    assert found.strongest.tolist() == [[0], [0]] and found.clear.tolist() == [True, False]


def test_what_cannot_be_judged_is_refused():
    call = unwrapped(ClearFactor.__call__)
    with pytest.raises(ShapeError) as caught:
        call(ClearFactor(), said([[1.0, 0.0]]), torch.ones(3))
    assert str(caught.value) == (
        "ClearFactor needs the nats of each of 1 latents, averaged over pictures; it got (3,). "
        "`core.latent.activity` gives them."
    )
    with pytest.raises(BadInput) as caught:
        call(ClearFactor(), said([[1.0, 0.0]]), torch.ones(1) / 0)
    assert str(caught.value) == (
        "ClearFactor needs finite nats; 1 of 1 are not. Look at the encoder's variances."
    )
    with pytest.raises(BadInput) as caught:
        ClearFactor(share=1.5)
    assert str(caught.value) == (
        "ClearFactor needs nats of 0 or more and a share from 0 to 1; it got least_nats=0.1, "
        "least_information=0.25, share=1.5."
    )
