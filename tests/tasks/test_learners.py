import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput
from legenda.tasks.learners import AT_ONCE, KINDS, STEPWISE, groups_of, learner_of


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_begins_or_fits(kind):
    rows = torch.randn(96, 8, generator=torch.Generator().manual_seed(0)).abs()
    made = learner_of(kind, 6, k=2, batch=len(rows))
    dictionary = made.begin(rows, 0) if kind in STEPWISE else made.fit(rows, 0)
    codes = dictionary.encode(rows[None, :5])
    assert isinstance(codes, Codes) and len(dictionary.atoms) == 6
    assert dictionary.decode(codes).shape == (1, 5, 8)
    assert (kind in STEPWISE) != (kind in AT_ONCE) and len(set(KINDS)) == 15


@pytest.mark.parametrize("kind", ["batch-topk", "topk", "mp", "archetypal", "vsae", "matryoshka"])
def test_k_reaches_the_paper(kind):
    assert "k=3" in repr(learner_of(kind, 12, k=3))


@pytest.mark.parametrize("kind", ["relu-l1", "gated", "jumprelu"])
def test_price_reaches_the_paper(kind):
    dear, usual = learner_of(kind, 12, price=0.7), learner_of(kind, 12)
    assert "0.7" in repr(dear) and "0.7" not in repr(usual)


def test_revival_waits_as_long_as_is_said():
    for kind in ("topk", "batch-topk", "matryoshka"):
        assert learner_of(kind, 12, k=2, after=77).revive.after == 77


@pytest.mark.parametrize("units", [*range(1, 40), 100, 1024, 8192])
def test_groups_are_whole_and_sum_to_the_units(units):
    sizes = groups_of(units)
    assert sum(sizes) == units and min(sizes) >= 1


def test_groups_of_the_paper():
    assert groups_of(8192) == (65, 245, 491, 983, 1966, 4442)
    assert learner_of("matryoshka", 8192).groups == groups_of(8192)
    assert learner_of("matryoshka", 10, k=2, groups=[4, 6]).groups == (4, 6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "topp", "units": 4}, "there is no dictionary of the kind 'topp'. Did you mean 'topk'? Known: matryoshka, "),  # noqa: E501
        ({"kind": "topk", "units": 4, "k": 2, "groups": (2, 2)}, "groups are those of a matryoshka dictionary; topk has none. Leave them out."),  # noqa: E501
        ({"kind": "matryoshka", "units": 4, "k": 2, "groups": ()}, "MatryoshkaBatchTopK needs groups of 1 unit or more that sum to its 4 units; it got (), which sum to 0."),  # noqa: E501
        ({"kind": "topk", "units": 4, "k": 5}, "TopK "),
        ({"kind": "random", "units": 4, "k": 5}, "RandomAtoms has from 1 to 4 units on, all that it has; most=5 is outside. Ask for fewer."),  # noqa: E501
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(asked, message):
    with pytest.raises(BadInput) as caught:
        learner_of(**asked)
    assert str(caught.value).startswith(message)
