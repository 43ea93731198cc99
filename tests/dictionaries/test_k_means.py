import re

import pytest
import torch

from legenda.dictionaries.k_means import KMeans
from legenda.errors import BadInput
from tests.contracts import check_dictionary
from tests.dictionaries.parts import gaussian, lot_of, unexplained


def clusters(count=300, seed=0):
    lot = lot_of(seed)
    centres = 4 * torch.randn(5, 8, generator=lot)
    label = torch.randint(5, (count,), generator=lot)
    return centres[label] + 0.2 * torch.randn(count, 8, generator=lot), centres, label


@pytest.mark.parametrize("weight", ["one", "projection", "cosine"])
def test_it_keeps_the_contract_of_a_dictionary(weight):
    learner = KMeans(6, weight)
    check_dictionary(learner.fit(gaussian()), gaussian(40, seed=5).view(4, 10, 10))
    assert eval(repr(learner), {"KMeans": KMeans}) == learner


def test_it_finds_the_planted_clusters():
    rows, centres, label = clusters()
    found = KMeans(5).fit(rows)
    gap = torch.cdist(centres, found.atoms)
    assert sorted(gap.argmin(1).tolist()) == list(range(5)) and gap.min(1).values.max() < 0.3
    own = found.encode(rows[None]).index[0, :, 0]
    assert torch.equal(own, gap.argmin(1)[label])


def test_a_row_is_written_as_the_nearest_centre():
    rows = gaussian()
    found = KMeans(6).fit(rows)
    codes = found.encode(rows[None])
    nearest = torch.cdist(rows, found.atoms).argmin(1)
    assert torch.equal(codes.index[0, :, 0], nearest) and (codes.weight == 1).all()
    assert torch.allclose(found.decode(codes)[0], found.atoms[nearest])


def test_a_centre_is_about_the_mean_of_its_rows():
    rows, _, _ = clusters()
    found = KMeans(5).fit(rows)
    own = found.encode(rows[None]).index[0, :, 0]
    means = torch.stack([rows[own == i].mean(0) for i in range(5)])
    assert torch.allclose(found.atoms, means, atol=0.1)


def test_more_centres_leave_less():
    rows = gaussian()
    left = [unexplained(KMeans(k).fit(rows), rows) for k in (2, 8, 32)]
    assert left == sorted(left, reverse=True)


def test_the_seed_and_only_the_seed_decides():
    state = torch.get_rng_state()
    first, again, other = (KMeans(6).fit(gaussian(), seed).atoms for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: KMeans(4, tries=0),
            "KMeans needs a unit, a batch, a pass and a try or more; it got units=4, batch=4096, "
            "passes=100, tries=0. Change these.",
        ),
        (
            lambda: KMeans(301).fit(gaussian()),
            "301 units need 301 activations or more to begin from; there are 300. Give more "
            "images, or ask for fewer units.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
