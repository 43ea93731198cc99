import re
from types import SimpleNamespace

import pytest
import torch

from legenda.core.codes import Codes
from legenda.dictionaries.autoencoder import ROWS
from legenda.dictionaries.linear import LinearDictionary, Nearest, NonNegative, Projection, Rule
from legenda.errors import BadInput, ShapeError
from tests.contracts import check_dictionary
from tests.dictionaries.parts import lot_of

RULES = [
    Projection(), Projection(signed=True), Projection(3), Projection(3, signed=True),
    Projection(99), Nearest(), Nearest("projection"), Nearest("cosine"), NonNegative(),
]  # fmt: skip


def made(rule, k=7, d=5, seed=0):
    lot = lot_of(seed)
    atoms, bias = torch.randn(k, d, generator=lot), torch.randn(d, generator=lot)
    return LinearDictionary(atoms, bias, rule)


def acts(b=2, n=4, d=5, seed=1):
    return torch.randn(b, n, d, generator=lot_of(seed))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_it_keeps_the_contract_of_a_dictionary(rule):
    assert isinstance(rule, Rule)
    check_dictionary(made(rule), acts())
    assert eval(repr(rule), {type(rule).__name__: type(rule)}) == rule


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_position_has_the_code_it_has_alone(rule):
    dictionary, given = made(rule), acts()
    together = dictionary.encode(given).dense()
    for b in range(2):
        for n in range(4):
            alone = dictionary.encode(given[b : b + 1, n : n + 1]).dense()[0, 0]
            assert torch.allclose(alone, together[b, n], atol=1e-5)


def literal(rule, x, atoms):
    """Equations (2) to (4), one atom after another."""
    if isinstance(rule, NonNegative):
        from scipy.optimize import nnls

        return torch.from_numpy(nnls(atoms.double().numpy().T, x.double().numpy())[0]).float()
    if isinstance(rule, Nearest):
        z = torch.zeros(len(atoms))
        i = min(range(len(atoms)), key=lambda j: float((x - atoms[j]).norm()))
        along = float(x @ atoms[i])
        z[i] = {
            "one": 1.0,
            "projection": max(0.0, along / float(atoms[i] @ atoms[i])),
            "cosine": max(0.0, along / float(atoms[i].norm() * x.norm())),
        }[rule.weight]
        return z
    z = torch.tensor([float(x @ d / (d @ d)) for d in atoms])
    if not rule.signed:
        z = z.clamp(min=0)
    if rule.most is not None and rule.most < len(z):
        kept = sorted(range(len(z)), key=lambda i: -abs(float(z[i])))[: rule.most]
        z = torch.tensor([float(v) if i in kept else 0.0 for i, v in enumerate(z)])
    return z


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_codes_are_the_literal_equations(rule):
    dictionary, given = made(rule), acts()
    codes = dictionary.encode(given).dense()
    for b in range(2):
        for n in range(4):
            expected = literal(rule, given[b, n] - dictionary.bias, dictionary.atoms)
            assert torch.allclose(codes[b, n], expected, atol=1e-5)


def test_what_is_written_is_the_literal_sum():
    dictionary = made(Projection())
    codes = Codes(torch.tensor([[[2, 5]]]), torch.tensor([[[0.5, 2.0]]]), 7)
    expected = 0.5 * dictionary.atoms[2] + 2 * dictionary.atoms[5] + dictionary.bias
    assert torch.allclose(dictionary.decode(codes)[0, 0], expected)


def test_more_rows_than_are_encoded_at_once_fit_together():
    dictionary = made(Projection(2))
    given = acts(1, ROWS + 3)
    codes = dictionary.encode(given)
    assert codes.index.shape == (1, ROWS + 3, 2)
    assert torch.equal(codes.dense()[:, -3:], dictionary.encode(given[:, -3:]).dense())


def test_a_better_rule_explains_more():
    given = acts(4, 8)
    errors = []
    for rule in (Nearest(), Nearest("projection"), NonNegative()):
        dictionary = LinearDictionary(made(rule).atoms, torch.zeros(5), rule)
        errors.append(float((given - dictionary.decode(dictionary.encode(given))).square().sum()))
    assert errors[0] > errors[1] > errors[2]


def test_float64_stays_float64_and_half_stays_half():
    dictionary = made(NonNegative())
    assert dictionary.encode(acts().double()).weight.dtype == torch.float64
    assert dictionary.encode(acts().half()).weight.dtype == torch.float16


def test_coarser_levels_are_mixtures_of_finer_ones():
    atoms, bias = torch.randn(4, 6, generator=lot_of(0)), torch.ones(6)
    first = torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.0, 2.0], [0.0, 1.0]])
    second = torch.tensor([[1.0], [3.0]])
    dictionary = LinearDictionary(atoms, bias, NonNegative(), "tree", parents=(first, second))
    assert dictionary.coarser(0).atoms is not None
    assert torch.equal(dictionary.coarser(0).atoms, atoms)
    parent = dictionary.coarser(1)
    assert parent.name == "tree-2" and len(parent.parents) == 1
    assert torch.allclose(parent.atoms[0], atoms[0] + 0.5 * atoms[1])
    assert torch.allclose(parent.atoms[1], 2 * atoms[2] + atoms[3])
    top = dictionary.coarser(2)
    assert torch.allclose(top.atoms[0], parent.atoms[0] + 3 * parent.atoms[1])
    assert torch.equal(top.bias, bias)


def test_its_repr_tells_one_from_another():
    assert repr(made(Projection())) == repr(made(Projection()))
    assert repr(made(Projection())) != repr(made(Projection(), seed=3))
    assert repr(made(Nearest())).startswith("LinearDictionary(7 × 5, Nearest(weight='one'), ")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: made(Projection()).encode(acts(d=4)),
            ShapeError,
            "linear holds atoms of width 5; the acts have width 4. Use a dictionary that was "
            "fitted at this site.",
        ),
        (
            lambda: LinearDictionary(torch.ones(0, 4), torch.ones(4), Projection()),
            ShapeError,
            "LinearDictionary needs atoms (k d) and a bias (d); it got (0, 4) and (4,).",
        ),
        (
            lambda: LinearDictionary(
                torch.ones(3, 4), torch.ones(4), Projection(), parents=(torch.ones(2, 1),)
            ),
            ShapeError,
            "each level of parents has a row for each unit of the level below; 3 units got (2, 1).",
        ),
        (
            lambda: made(Projection()).coarser(1),
            BadInput,
            "linear has 0 coarser levels; there is no level 1.",
        ),
        (
            lambda: Projection(0),
            BadInput,
            "Projection keeps 1 unit or more; it got most=0. None keeps all.",
        ),
        (
            lambda: Nearest.__post_init__(SimpleNamespace(weight="length")),
            BadInput,
            "Nearest weighs by 'one', 'projection' or 'cosine'; it got 'length'. Choose one.",
        ),
    ],
)
def test_what_it_refuses(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
