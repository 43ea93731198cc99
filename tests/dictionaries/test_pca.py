import re

import pytest
import torch

from legenda.dictionaries import pca
from legenda.dictionaries.pca import PCA, moments
from legenda.dictionaries.random_atoms import RandomAtoms
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, unexplained


@pytest.mark.parametrize("learner", [PCA(4), PCA(10), PCA(8, signed=False)], ids=repr)
def test_it_keeps_the_contract_of_a_dictionary(learner):
    check_dictionary(learner.fit(gaussian()), gaussian(40, seed=5).view(4, 10, 10))
    assert eval(repr(learner), {"PCA": PCA}) == learner


def test_axes_are_those_of_the_svd():
    rows = gaussian()
    found = PCA(6).fit(rows)
    right = torch.linalg.svd((rows - rows.mean(0)).double()).Vh[:6].float()
    assert torch.allclose((found.atoms * right).sum(1).abs(), torch.ones(6), atol=1e-4)
    assert torch.allclose(found.atoms @ found.atoms.T, torch.eye(6), atol=1e-5)
    assert torch.allclose(found.bias, rows.mean(0), atol=1e-5)


def test_codes_are_signed_coordinates_and_all_of_them_are_the_row():
    rows = gaussian()
    found = PCA(10).fit(rows)
    codes = found.encode(rows[None]).dense()[0]
    assert (codes < 0).any()
    assert torch.allclose(codes, (rows - rows.mean(0)) @ found.atoms.T, atol=1e-4)
    assert torch.allclose(found.decode(found.encode(rows[None]))[0], rows, atol=1e-4)
    assert codes.var(0).diff().max() <= 0, "the first explains the most"


def test_split_axes_say_the_same_without_negative_weights():
    rows = gaussian()
    signed, split = PCA(4).fit(rows), PCA(8, signed=False).fit(rows)
    codes = split.encode(rows[None])
    assert codes.weight.min() >= 0
    assert codes.index.shape[-1] == 4, "of both sides of an axis one is on"
    both = codes.dense()[0].view(-1, 4, 2)
    assert torch.allclose(both[..., 0] - both[..., 1], signed.encode(rows[None]).dense()[0])
    assert (both.amin(-1) == 0).all()
    assert unexplained(split, rows) == pytest.approx(unexplained(signed, rows), abs=1e-5)


def test_it_finds_the_planted_plane():
    lot = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(12, 2, generator=lot)).Q.T
    noise = 1e-3 * torch.randn(400, 12, generator=lot)
    rows = torch.randn(400, 2, generator=lot) @ plane + noise
    found = PCA(2).fit(rows).atoms
    assert torch.linalg.svdvals(found @ plane.T).min() > 0.9999


def test_more_axes_leave_less_and_less_than_chance_does():
    rows = gaussian()
    left = [unexplained(PCA(k).fit(rows), rows) for k in (1, 3, 6, 9)]
    assert left == sorted(left, reverse=True) and left[-1] < 0.05
    assert left[2] < unexplained(RandomAtoms(6, 6).fit(rows), rows)


def test_moments_are_those_of_all_rows_at_once(monkeypatch):
    rows = gaussian(500)
    monkeypatch.setattr(pca, "ROWS", 64)
    mean, covariance = moments(rows)
    assert torch.allclose(mean, rows.double().mean(0))
    assert torch.allclose(covariance, torch.cov(rows.double().T, correction=0))


def test_nothing_is_drawn():
    assert torch.equal(PCA(4).fit(gaussian(), 0).atoms, PCA(4).fit(gaussian(), 1).atoms)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: PCA(11).fit(gaussian()),
            "PCA finds at most 10 axes in activations of width 10; it was asked for 11. Ask for "
            "fewer units.",
        ),
        (
            lambda: PCA(3, signed=False),
            "PCA needs a unit or more, and an even number of them where each axis is two units; "
            "it got units=3. Change it.",
        ),
        (
            lambda: PCA(5).fit(gaussian(4)),
            "5 units need 5 activations or more to begin from; there are 4. Give more images, or "
            "ask for fewer units.",
        ),
        (
            lambda: PCA(2).fit(torch.cat([gaussian(), torch.ones(300, 1)], 1)),
            "1 of 11 columns of the activations are constant (the first is 10). Open the model at "
            "a site that varies.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()


def test_nan_is_refused():
    rows = gaussian()
    rows[3, 2] = torch.nan
    with pytest.raises(BadInput, match=r"\(300, 10\) with 1 rows that hold NaN or infinity"):
        PCA(2).fit(rows)
