from inspect import unwrap

import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.model import Run
from legenda.core.target import Contrast, Logit, LogProbability, Similarity, Target, digest
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError
from tests.toys import ToyEncoder, pixels

run = Run(torch.zeros(2, 1, 1), torch.tensor([[3.0, 4.0], [1.0, 0.0]]))


def test_a_logit_is_a_column():
    assert Logit(1)(run).tolist() == [4.0, 0.0]
    assert (Logit(1).label, Logit(1).key, Logit(1).reads) == ("logit 1", "Logit(index=1)", "output")


def test_each_image_may_have_a_class_of_its_own():
    each = Logit((1, 0))
    assert each(run).tolist() == [4.0, 1.0]
    assert each.at(torch.tensor([1, 0, 1])).index == (0, 1, 0)
    assert each.label == "logit of 2 images, each its own"
    with pytest.raises(ShapeError, match="Logit was given 1 classes for 2 images"):
        Logit((1,))(run)


def test_a_log_probability_is_minus_the_cross_entropy():
    wanted = -torch.nn.functional.cross_entropy(run.output, torch.tensor([1, 0]), reduction="none")
    torch.testing.assert_close(LogProbability((1, 0))(run), wanted)
    assert LogProbability(1).label == "log probability of 1"


def test_similarity_is_the_cosine_to_one_embedding_or_to_one_each():
    one = Similarity("a dog", torch.tensor([2.0, 0.0]))
    each = Similarity(("a", "b"), torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    assert torch.allclose(one(run), torch.tensor([0.6, 1.0]))
    assert torch.allclose(each(run), torch.tensor([0.6, 0.0]))
    assert (one.label, each.label) == ("similar to 'a dog'", "similar to 2 partners")


def test_a_target_goes_with_its_rows():
    each = Similarity(("a", "b"), torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    assert torch.allclose(each.at(torch.tensor([1, 0]))(run), torch.tensor([0.8, 1.0]))
    assert Logit(1).at(torch.tensor([1])) == Logit(1)
    one = Similarity(("a",), torch.tensor([[2.0, 0.0]]))
    assert torch.allclose(one.at(torch.tensor([0, 1]))(run), torch.tensor([0.6, 1.0]))


def test_a_partner_of_another_space_is_refused():
    with pytest.raises(ShapeError) as caught:
        Similarity("a dog", torch.ones(3))(run)
    assert str(caught.value) == (
        "Similarity needs one embedding of width 2, or one per image (2); it got (3,). "
        "Embed the partner with the other tower of the same model."
    )


def test_the_key_of_a_similarity_holds_its_embedding():
    one, other = Similarity("x", torch.tensor([1.0])), Similarity("x", torch.tensor([2.0]))
    assert one.key != other.key
    assert one.key == Similarity("x", torch.tensor([1.0])).key
    assert digest(torch.ones(2)) != digest(torch.ones(2, 1)), "the shape counts"


def test_a_contrast_is_a_difference():
    both = Contrast(Logit(0), Logit(1))
    assert both(run).tolist() == [-1.0, 1.0]
    assert both.label == "logit 0 rather than logit 1"
    assert both.key == "Contrast(Logit(index=0), Logit(index=1))"
    assert both.reads == "output"


def test_a_unit_is_a_target():
    units = Units(ToyEncoder(), Identity(6))
    unit = units[3]
    assert isinstance(unit, Target)
    run = units.model.run(pixels())
    assert torch.equal(unit(run), run.acts[:, :, 3].amax(1))
    assert (unit.label, unit.reads) == ("toy-encoder/neurons/3", "acts")
    assert Contrast(unit, units[1]).reads == "acts"
    assert Contrast(unit, Logit(0)).reads == "output"


def test_a_unit_that_is_not_there():
    with pytest.raises(IndexError) as caught:
        Units(ToyEncoder(), Identity(6))[6]
    assert str(caught.value) == "unit 6 is not in toy-encoder/neurons, which has 6 units"


@pytest.mark.parametrize("number", [99, -3, "cat", 1.0, None])
def test_a_class_that_is_not_there(number):
    target = Logit(0)
    object.__setattr__(target, "index", number)  # past the checks that only tests have
    with pytest.raises(BadInput) as caught:
        unwrap(Logit.__call__)(target, run)
    assert str(caught.value) == (
        f"Logit needs the number of a class, 0 to 1; it got {number!r}. Choose one of them."
    )


def test_classes_may_be_counted_from_the_end():
    assert Logit(-1)(run).tolist() == [4.0, 0.0]


def test_a_logit_of_what_has_no_classes():
    with pytest.raises(ShapeError) as caught:
        unwrap(Logit.__call__)(Logit(0), Run(torch.zeros(2, 1, 1), torch.zeros(2)))
    assert str(caught.value) == (
        "Logit needs one row of logits per image (b c); the output has the shape (2,). "
        "Open the model with `output=` that picks them."
    )
