"""Inductive biases as sheets: literal twins, laws, and a planted property."""

import numpy as np
import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.explain.manipulation import (
    Combination,
    Conditional,
    Invariance,
    chance_direction,
    contrast,
    mean_difference,
)
from legenda.explain.traversal import Traversal, anchors
from legenda.explain.traversal_grid import shown
from legenda.intervene.edits import put
from tests.contracts import traces
from tests.explain.decoders import bars, pictures, sparse, spatial, vector
from tests.toys import ToyEncoder

FIVE = Traversal(values=(-3.0, -1.5, 0.0, 1.5, 3.0))


def one(units, row, edits):
    """A picture of one row with some units set, one after the other in the codes."""

    def edit(codes):
        for index, value in edits:
            codes = put(index, float(value))(codes)
        return codes

    with torch.no_grad():
        return shown(units.model, units.lift(edit)(row[None]))[0]


def close(found, wanted):
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=2e-6)


@pytest.fixture(params=["vector", "sparse"])
def units(request):
    return vector() if request.param == "vector" else sparse(spatial(), signed=True)


def test_invariance_is_its_equation(units):
    rows = anchors(units, 2, x=pictures())
    how = Invariance(partner=1, value=2.0, traversal=FIVE)
    sheet = how.sheet(units, rows, 3)
    assert sheet.kind == "invariance" and sheet.images.shape[:2] == (4, 5)
    assert sheet.unit == f"{units.address}/3, with 1 as it is and at 2"
    for r, row in enumerate(rows):
        other = units.lift(put(1, 2.0))(row[None])[0]
        close(sheet.images[2 * r], [one(units, row, [(3, v)]) for v in FIVE.values])
        close(sheet.images[2 * r + 1], [one(units, other, [(3, v)]) for v in FIVE.values])


def test_the_partner_of_the_partner_is_another():
    units = vector()
    assert Invariance(0).beside(units, 3) == 0
    assert Invariance(0).beside(units, 0) == 1
    assert Invariance(5).beside(units, 5) == 0
    assert Invariance(0, instead=4).beside(units, 0) == 4


def test_where_latents_are_apart_both_rows_change_alike():
    rows = 0.4 * anchors(bars(), 3)
    apart = Invariance(2, 3.0).sheet(bars(), rows, 1)  # latent 2 says nothing
    assert torch.equal(apart.images[::2], apart.images[1::2])
    white = (Invariance(1, 1.0).sheet(bars(), rows, 0).images > 0.99).flatten(2).sum(2)
    assert torch.equal(white[::2], white[1::2]), "the bar grows as it did on another ground"


def test_combination_is_its_equation(units):
    rows = anchors(units, 2, x=pictures())
    how = Combination((4, 0, 2), against=(2,), traversal=FIVE)
    sheet = how.sheet(units, rows)
    assert (sheet.kind, sheet.index, sheet.unit) == ("combination", 4, f"{units.address}/4+0-2")
    assert sheet.values.tolist() == list(FIVE.values)
    for r, row in enumerate(rows):
        close(sheet.images[r], [one(units, row, [(4, v), (0, v), (2, -v)]) for v in FIVE.values])


def test_a_group_moves_over_values_of_each():
    units, x = sparse(spatial(), signed=True), pictures(5)
    rows = pool = units.model.acts(x)
    how = Combination((1, 6), against=(6,), traversal=Traversal(4, quantiles_of="codes"))
    sheet = how.sheet(units, rows, pool)
    own = how.traversal.grid(units, [1, 6], pool)
    wanted = [one(units, rows[0], [(1, a), (6, b)]) for a, b in zip(own[0], own[1].flip(0), strict=True)]  # fmt: skip # noqa: E501
    close(sheet.images[0], wanted)


def test_conditional_is_its_equation(units):
    rows, delta = anchors(units, 2, x=pictures()), torch.randn(units.model.width).double()
    sheet = Conditional().sheet(units, rows, delta, "smiling")
    assert (sheet.kind, sheet.unit) == ("conditional", f"{units.model.name}/smiling")
    for r, row in enumerate(rows):
        wanted = [shown(units.model, (row + a * delta.float())[None])[0] for a in range(5)]
        close(sheet.images[r], wanted)


def test_a_contrast_moves_one_unit_and_then_the_other(units):
    rows = anchors(units, 2, x=pictures())
    sheet = contrast(units, 3, 1, rows, FIVE)
    assert (sheet.kind, sheet.unit) == ("contrast", f"{units.address}/3 beside 1")
    for r, row in enumerate(rows):
        for k, index in enumerate((3, 1)):
            close(sheet.images[2 * r + k], [one(units, row, [(index, v)]) for v in FIVE.values])


def test_both_units_of_a_contrast_move_over_the_same_values():
    units = sparse(spatial(), signed=True)
    rows, how = anchors(units, 2, x=pictures()), Traversal(4, quantiles_of="codes")
    wanted = how.grid(units, [3, 1], rows).mean(0)
    assert torch.equal(contrast(units, 3, 1, rows, how).values, wanted)
    same = contrast(units, 3, 3, rows, how)
    assert torch.equal(same.images[0], same.images[1])


def test_the_difference_of_means_finds_what_was_planted():
    lot = np.random.default_rng(0)
    has = lot.random(400) < 0.4
    acts = torch.from_numpy(lot.normal(size=(400, 3, 5)))
    acts[:, :, 2] += 2.0 * torch.from_numpy(has)[:, None]
    found, chance = mean_difference(acts, has.tolist()), chance_direction(acts, has.tolist(), 1)
    slow = np.mean([a.numpy().mean(0) for a, h in zip(acts, has, strict=True) if h], 0)
    slow = slow - np.mean([a.numpy().mean(0) for a, h in zip(acts, has, strict=True) if not h], 0)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert found[2] / found.norm() > 0.98
    assert abs(chance[2] / chance.norm()) < 0.9
    assert float(chance.norm()) == pytest.approx(float(found.norm()))
    assert not torch.equal(chance, chance_direction(acts, has.tolist(), 2))


def test_a_planted_property_grows_along_its_direction():
    units, rows = bars(), 0.4 * anchors(bars(), 60, seed=3)
    bright = (rows[:, 0, 1] > 0).tolist()
    delta = mean_difference(rows, bright)
    sheet = Conditional((0.0, 0.5, 1.0)).sheet(units, rows[:6], delta, "bright")
    assert (sheet.images[:, :, 0, 0, -1].diff(dim=1) > 0).all()
    grown = float((sheet.images[:, -1] - sheet.images[:, 0])[:, 0, 0, -1].mean())
    by_lot = []
    for seed in range(20):
        how, delta = Conditional((0.0, 0.5, 1.0)), chance_direction(rows, bright, seed)
        chance = how.sheet(units, rows[:6], delta, "chance").images
        by_lot.append(float((chance[:, -1] - chance[:, 0])[:, 0, 0, -1].mean()))
    assert grown > max(by_lot) and grown > 3 * abs(np.mean(by_lot))


def test_invariance_is_an_explainer():
    units, how = vector(), Invariance(1, 2.0)
    before = traces(units.model)
    sheet, again = how(units, pictures(), units[3]), how(units, pictures(), 3)
    assert torch.equal(sheet.images, again.images) and traces(units.model) == before
    assert sheet.images.isfinite().all() and not sheet.images.requires_grad
    assert eval(repr(how)) == how, "repr is the key"


def refused(kind, act):
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


def test_what_makes_no_sense_is_refused():
    plain, units = Units(ToyEncoder(), Identity(6)), vector()
    rows, instead = anchors(units, 1), "For encoders use Exemplars, or `legenda survey`."
    for who, act in {
        "Invariance": lambda: Invariance().sheet(plain, rows, 1),
        "Combination": lambda: Combination((0, 1)).sheet(plain, rows),
        "Conditional": lambda: Conditional().sheet(plain, rows, torch.zeros(6), "x"),
        "contrast": lambda: contrast(plain, 0, 1, rows),
    }.items():
        assert refused(Unsupported, act) == (
            f"{who} needs a model with `decode`; toy-encoder has none. {instead}"
        )
    assert refused(BadInput, lambda: Invariance(2, instead=2).beside(units, 2)) == (
        "Invariance needs another unit beside 2; vector/latents has 6. Give another one as "
        "`instead`."
    )
    assert refused(BadInput, lambda: Invariance(9).sheet(units, rows, 2)) == (
        "unit 9 is not in vector/latents, which has 6 units, numbered from 0. Choose one of them."
    )
    for group, against in (((1,), ()), ((1, 1), ()), ((1, 2), (1,)), ((1, 2), (3,))):
        assert refused(BadInput, lambda g=group, a=against: Combination(g, a)) == (
            "Combination needs 2 different units or more, of which the first rises; it got "
            f"{group}, against {against}."
        )
    assert refused(ShapeError, lambda: Conditional().sheet(units, rows, torch.zeros(4), "x")) == (
        "Conditional needs a finite direction of width 6; it got the shape (4,). Take "
        "`mean_difference` of acts of this model."
    )
    assert refused(BadInput, lambda: Conditional((1.0, 0.0))) == (
        "Conditional needs 2 values or more that rise; it got (1.0, 0.0)."
    )
    assert refused(BadInput, lambda: mean_difference(torch.zeros(3, 1, 2), [True] * 3)) == (
        "mean_difference needs pictures with the property and without; of 3 pictures 3 of 3 "
        "labels say yes. Give one label for each."
    )
