import pytest
import torch

from legenda.core.interval import auroc
from legenda.score.factor_counts import (
    Choice,
    aurocs,
    counts,
    exchanged,
    mean_ranks,
    per_image,
    slots_of,
    taken,
)
from tests.score.concept_toys import mixed, parts, sparse


def truth(masks):
    return masks.flatten(2).mT


def test_counts_are_those_of_dense_codes():
    dense, factors = mixed(6, 5), truth(parts(6, 3))
    both, on, true = counts(slots_of(sparse(dense)), factors)
    lit = dense > 0
    assert torch.equal(both, torch.einsum("bnk,bnf->kf", lit.long(), factors.long()))
    assert torch.equal(on[:, 0], lit.sum((0, 1))) and torch.equal(true, factors.sum((0, 1)))
    assert both.dtype == on.dtype == true.dtype == torch.int64


def test_counts_of_each_image_keep_to_the_unit_and_its_cut():
    dense, factors = mixed(6, 5), truth(parts(6, 3))
    choice = Choice(torch.tensor([4, 0, 4]), torch.tensor([0.0, 0.5, 0.9]).double())
    both, on, true = per_image(slots_of(sparse(dense)), factors, choice)
    lit = dense[..., choice.unit] > choice.floor
    assert torch.equal(both, (lit & factors).sum(1)) and torch.equal(on, lit.sum(1))
    assert torch.equal(true, factors.sum(1)) and (on[:, 0] > on[:, 2]).any()


def test_some_images_are_renumbered():
    dense = mixed(6, 5)
    rows = torch.tensor([1, 4, 5])
    some, alone = taken(slots_of(sparse(dense)), rows), slots_of(sparse(dense[rows]))
    for one, other in zip(some[:4], alone[:4], strict=True):
        assert torch.equal(one, other)
    assert not len(taken(slots_of(sparse(torch.zeros(2, 42, 3))), torch.tensor([0])).unit)


def test_exchanged_units_keep_their_maps_and_never_their_images():
    slots = slots_of(sparse(mixed(8, 50)))
    moved = exchanged(slots, 8, 0)
    assert torch.equal(moved.position, slots.position) and (moved.image != slots.image).all()
    for u in (0, 17):
        mine = slots.unit == u
        was, now = slots.image[mine], moved.image[mine]
        sent = {int(a): int(b) for a, b in zip(was, now, strict=True)}
        assert len(set(sent.values())) == len(sent)
        assert all(int(b) == sent[int(a)] for a, b in zip(was, now, strict=True))
    moves = {tuple(moved.image[slots.unit == u].unique_consecutive().tolist()) for u in range(50)}
    assert len(moves) > 3


def test_areas_and_ranks_agree_with_comparing_all_pairs():
    dense = (4 * mixed(6, 5)).ceil() / 4  # many ties
    factors = truth(parts(6, 3))
    slots = slots_of(sparse(dense))
    got = aurocs(slots, factors)
    for u in range(5):
        mine = slots.unit == u
        weights = slots.weight[mine]
        ranks = (weights[None] < weights[:, None]).sum(1) + (
            (weights[None] == weights[:, None]).sum(1) + 1
        ) / 2  # noqa: E501
        torch.testing.assert_close(mean_ranks(slots)[mine], ranks.double())
        for f in range(3):
            a, true = dense[..., u].flatten().double(), factors[..., f].flatten()
            assert float(got[u, f]) == pytest.approx(auroc(a[true], a[~true]), rel=1e-9)
