from dataclasses import replace

import pytest
import torch

from legenda.concepts.probe import LinearProbe, Probe, Tried, shuffled_accuracy
from legenda.errors import BadInput

K, CLASSES = 12, ("a", "b", "c")
QUICK = LinearProbe(l1=(0.0, 0.01), lr=(0.03,), epochs=40, batch=64)


def images(count, seed):
    """Concept c tells class c; the other concepts are on by lot."""
    lot = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=lot)
    strongest = torch.rand(count, K, generator=lot) * (torch.rand(count, K, generator=lot) < 0.3)
    strongest[:, :3] = 0
    strongest[torch.arange(count), labels] = 1 + torch.rand(count, generator=lot)
    return strongest, labels


def test_planted_concepts_get_the_weight_and_the_penalty_removes_the_rest():
    train, validation, test = images(300, 0), images(100, 1), images(100, 2)
    found = QUICK(*train, CLASSES, validation)
    assert found.weight.argmax(1).tolist() == [0, 1, 2]
    value, (low, high), n = found.accuracy(*test)
    assert value == 1.0 and low > 0.95 and high == 1.0 and n == 100
    free, priced = found.tried
    assert priced.weights < free.weights
    assert found.chosen.l1 == 0.01, "of equally good places the sparser one is taken"


def test_what_concepts_add_is_the_logit():
    probe = QUICK(*images(200, 0), CLASSES, images(60, 1))
    strongest, _ = images(20, 3)
    added = torch.stack([probe.added(strongest, name).sum(1) for name in CLASSES], 1)
    torch.testing.assert_close(added, probe.logits(strongest))


def test_labels_dealt_by_lot_teach_nothing():
    train, validation, test = images(300, 0), images(100, 1), images(100, 2)
    found = QUICK(*train, CLASSES, validation)
    dealt = [
        shuffled_accuracy(replace(QUICK, seed=seed), found, *train, test)[0] for seed in range(6)
    ]
    assert sum(dealt) / 6 < 0.6 < found.accuracy(*test)[0], "a third, by whatever concept it took"


@pytest.mark.parametrize("proximal", [True, False])
def test_one_step_is_the_literal_one(proximal):
    how = LinearProbe(l1=(0.1,), lr=(0.05,), epochs=1, batch=512, proximal=proximal)
    z, y = images(32, 4)
    slope = torch.zeros(3, K)
    for row, label in zip(z, y, strict=True):
        p = torch.full((3,), 1 / 3)  # softmax of equal logits
        p[label] -= 1
        slope += torch.outer(p, row) / len(z)
    stepped = -0.05 * slope / (slope.abs() + 1e-8)  # Adam's first step is the sign
    if proximal:
        least = 0.05 * 0.1 / (slope.abs() + 1e-8)  # after one step √v̂ is the slope itself
        stepped = stepped.sign() * (stepped.abs() - least).clamp(min=0)
    torch.testing.assert_close(how.learned(z, y, 3, 0.1, 0.05), stepped, atol=1e-5, rtol=1e-4)


def test_weights_are_exactly_nothing_only_with_the_shrinkage():
    z, y = images(100, 0)
    hard = LinearProbe(epochs=20, batch=64).learned(z, y, 3, 0.03, 0.01)
    soft = LinearProbe(epochs=20, batch=64, proximal=False).learned(z, y, 3, 0.03, 0.01)
    assert (hard == 0).sum() > (soft == 0).sum()


def test_same_seed_same_bits():
    z, y = images(100, 0)
    assert torch.equal(QUICK.learned(z, y, 3, 0.01, 0.03), QUICK.learned(z, y, 3, 0.01, 0.03))


def test_refusals():
    z, y = images(10, 0)
    with pytest.raises(BadInput, match="LinearProbe needs images; it got none."):
        QUICK(z[:0], y[:0], CLASSES, (z, y))
    with pytest.raises(BadInput, match="LinearProbe needs labels from 0 to 1; it got 0 to 2."):
        QUICK(z, y, CLASSES[:2], (z, y))
    with pytest.raises(BadInput, match="LinearProbe needs finite activations"):
        QUICK(z * float("nan"), y, CLASSES, (z, y))
    with pytest.raises(BadInput, match="LinearProbe needs penalties of 0 or more"):
        LinearProbe(l1=(-1.0,))
    probe = Probe(torch.zeros(3, K), CLASSES, (), Tried(0.0, 0.1, 0.0, 0.0))
    with pytest.raises(BadInput, match="'d' is no class of this probe: a, b, c."):
        probe.added(z, "d")


def test_the_shrinkage_ends_where_the_priced_loss_has_its_least():
    """At the end no weight may move: |slope| = λ where it is not 0, and at most λ where it is."""
    z, y = images(200, 0)
    price = 0.02
    how = LinearProbe(epochs=4000, batch=512)
    weight = how.learned(z, y, 3, price, 0.01).requires_grad_()
    (slope,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z @ weight.T, y), [weight])
    off = weight.detach() == 0
    assert off.any() and not off.all()
    assert slope[off].abs().max() <= price * 1.1
    gap = slope[~off] + price * weight.detach()[~off].sign()
    assert gap.abs().max() < 0.2 * price
