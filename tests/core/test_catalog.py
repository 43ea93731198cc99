from inspect import unwrap

import pytest

from legenda.catalog import canonical, lookup, names
from legenda.errors import BadInput, Missing
from legenda.explain.bottleneck import InformationBottleneck


@pytest.mark.parametrize("name", ["m2ib", "M2IB", "M2ib"])
def test_case_makes_no_difference(name):
    assert lookup("explain", name) is InformationBottleneck
    assert canonical("explain", name) == "m2ib"
    assert canonical("explain", "Grad-CAM") == "grad_cam"


@pytest.mark.parametrize(
    ("kind", "noun"), [("explain", "method"), ("score", "score"), ("zoo", "zoo model")]
)
def test_an_unknown_name_is_called_by_its_noun(kind, noun):
    with pytest.raises(Missing) as caught:
        lookup(kind, "QQQQ")
    known = ", ".join(names(kind))
    assert str(caught.value) == f"there is no {noun} named 'QQQQ'. Known: {known}."


def test_a_name_is_a_string():
    with pytest.raises(BadInput) as caught:
        unwrap(canonical)("explain", InformationBottleneck)
    assert str(caught.value) == (
        "a method is called by its name, a string; it got "
        "<class 'legenda.explain.bottleneck.InformationBottleneck'>. Give one."
    )
