"""ReLU with a price on the codes."""

import pytest
import torch

from legenda.dictionaries.relu_l1 import ReLUL1
from legenda.errors import BadInput
from tests.dictionaries import toys
from tests.dictionaries.planted import Planted, fvu, matched, taught


@pytest.fixture
def rows():
    return toys.drawn(40)


@pytest.mark.parametrize("norm", ["unit", "priced"])
def test_value_and_gradient_are_those_of_the_literal_twin(rows, norm):
    module = toys.stirred(ReLUL1(20, 0.3, norm, warmup=0.5), rows)
    if norm == "priced":
        with torch.no_grad():
            module.decoder *= torch.linspace(0.5, 2, 20)[:, None]
    loss, figures = module.learner.loss(module, rows, 1, 8)
    z = toys.readings(module, rows).relu()
    slow, left = toys.nested_loss(module, rows, z, (20,), (1.0,))
    length = module.decoder.norm(dim=1) if norm == "priced" else torch.ones(20)
    toys.agree(loss, slow + 0.5 * 0.3 * (z * length).sum(1).mean(), module)
    spread = (rows - rows.mean(0)).square().sum()
    assert figures["fvu"] == pytest.approx(float(left.detach().square().sum() / spread), rel=1e-5)
    assert figures["l0"] == float((z > 0).sum()) / len(rows)
    assert figures["idle"] == 0.0


def test_longer_atoms_do_not_lower_the_price(rows):
    module = toys.stirred(ReLUL1(20, 0.3, "priced", warmup=0.0), rows)
    before = float(module.learner.loss(module, rows, 0, 1)[0].detach())
    with torch.no_grad():
        module.decoder *= 4
        module.encoder /= 4
        module.offset /= 4
    assert float(module.learner.loss(module, rows, 0, 1)[0].detach()) == pytest.approx(
        before, rel=1e-5
    )


@pytest.mark.parametrize("norm", ["unit", "priced"])
def test_atoms_keep_their_length_only_if_it_is_not_priced(rows, norm):
    module = toys.stirred(ReLUL1(20, 0.3, norm), rows)
    loss, _ = module.learner.loss(module, rows, 0, 1)
    grads = toys.gradients(loss, module)
    module.learner.shape(module, grads)
    along = (grads["decoder"] * module.decoder).sum(1).abs().max()
    assert (along < 1e-5) == (norm == "unit")
    with torch.no_grad():
        module.decoder *= 3
    module.learner.settle(module)
    length = torch.full((20,), 1.0 if norm == "unit" else 3.0)
    torch.testing.assert_close(module.decoder.norm(dim=1), length)


def test_a_higher_price_leaves_fewer_units_on():
    source = Planted(width=16, units=24, active=2)
    found = []
    for l1 in (0.02, 0.3):
        module = taught(ReLUL1(32, l1), source, steps=200)
        found.append(float((module.encode(source(500, 5)[None]).weight > 0).sum()) / 500)
    assert found[1] < 0.7 * found[0]
    assert matched(module.atoms, source.atoms).mean() > 0.9
    assert fvu(module, source(500, 5)) < 0.25


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(BadInput) as caught:
        ReLUL1(8, l1=-1.0)
    assert str(caught.value) == (
        "ReLUL1 needs a unit or more, l1 of 0 or more and a warmup from 0 to 1; it got units=8, "
        "l1=-1.0, warmup=0.05. Change these."
    )
    learner = ReLUL1(8)
    object.__setattr__(learner, "decoder_norm", "none")  # past the checks that only tests have
    with pytest.raises(BadInput) as caught:
        learner.__post_init__()
    assert str(caught.value) == (
        "ReLUL1 keeps atoms at unit length or prices it: decoder_norm is 'unit' or 'priced'; "
        "it got 'none'. Choose one."
    )
