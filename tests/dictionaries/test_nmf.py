import re

import pytest
import torch

from legenda.dictionaries.nmf import NMF
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, sums, unexplained


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_it_keeps_the_contract_of_a_dictionary(beta):
    learner = NMF(5, beta)
    rows, _ = sums()
    check_dictionary(learner.fit(rows), sums(40, seed=3)[0].view(4, 10, 30))
    assert eval(repr(learner), {"NMF": NMF}) == learner


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_it_finds_the_planted_parts(beta):
    rows, parts = sums(noise=0.01)
    found = NMF(5, beta, tolerance=1e-6, steps=1000).fit(rows)
    likeness = torch.nn.functional.normalize(parts, dim=1) @ found.atoms.T
    assert sorted(likeness.argmax(1).tolist()) == list(range(5))
    assert likeness.max(1).values.min() > 0.98
    assert unexplained(found, rows) < 0.01


def test_nothing_is_taken_away():
    rows, _ = sums(noise=0.05)
    found = NMF(4).fit(rows)
    assert found.atoms.min() >= 0 and found.encode(rows[None]).weight.min() >= 0
    assert torch.allclose(found.atoms.norm(dim=1), torch.ones(4), atol=1e-5)
    assert (found.bias == 0).all()


def test_new_rows_are_read_as_well_as_can_be():
    found = NMF(5).fit(sums()[0])
    rows = sums(50, seed=9, noise=0.3)[0]
    best = float((rows - found.decode(found.encode(rows[None]))[0]).square().sum())
    codes = found.encode(rows[None]).dense()[0]
    for seed in range(5):
        lot = torch.Generator().manual_seed(seed)
        other = (codes + 0.05 * torch.randn(codes.shape, generator=lot)).clamp(min=0)
        assert float((rows - other @ found.atoms).square().sum()) > best


def test_a_price_makes_factors_that_need_less():
    rows, _ = sums(noise=0.3)
    free, dear = (NMF(5, l1=price).fit(rows) for price in (0.0, 0.1))
    assert unexplained(dear, rows) > unexplained(free, rows)


def test_the_seed_and_only_the_seed_decides():
    rows, _ = sums(noise=0.3)
    state = torch.get_rng_state()
    first, again, other = (NMF(4).fit(rows, seed).atoms for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: NMF(2).fit(torch.tensor([[1.0, -2.0], [0.5, 1.0], [2.0, 3.0]])),
            "NMF needs activations that are never negative; 1 of 6 are, down to -2. Use SemiNMF, "
            "or a site after a ReLU.",
        ),
        (
            lambda: NMF(2, beta=0.0).fit(torch.tensor([[1.0, 0.0], [0.5, 1.0], [2.0, 3.0]])),
            "NMF with beta=0.0 compares by ratios, and 1 activations are 0. Use a beta above 0.",
        ),
        (
            lambda: NMF(2, steps=0),
            "NMF needs a unit and a step or more, and an l1 and a tolerance of 0 or more; it got "
            "units=2, steps=0, l1=0.0, tolerance=0.0001. Change these.",
        ),
        (
            lambda: NMF(301).fit(gaussian().abs()),
            "301 units need 301 activations or more to begin from; there are 300. Give more "
            "images, or ask for fewer units.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
