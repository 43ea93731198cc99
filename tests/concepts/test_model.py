import pytest
import torch

from legenda.concepts.extractors import CNN, PUBLISHED, SMALL, Transformer
from legenda.concepts.model import ConceptModel, top_shares
from legenda.errors import BadInput, Refused
from tests.concepts.toys import CONCEPTS, GRID, codebook, concept_model, concept_units, tokens
from tests.contracts import check_lift, check_model


@pytest.mark.parametrize("kind", SMALL)
def test_it_keeps_the_contract_of_a_model(kind):
    check_model(concept_model(kind), tokens())


def test_edits_of_tokens_lift_exactly():
    check_lift(concept_units(), tokens())


def test_the_published_sizes_are_the_published_ones():
    millions = {"cnn": 72.2, "cnn-deep": 66.4, "resnet": 30.8, "transformer": 39.7}
    for name, wanted in millions.items():
        with torch.device("meta"):
            net = PUBLISHED[name].build(256, (16, 16), 1000)
        count = sum(p.numel() for p in net.parameters())
        assert round(count / 1e6, 1) == wanted, name
    assert isinstance(PUBLISHED["transformer-6"], Transformer)
    assert PUBLISHED["transformer-6"].depth == 6


@pytest.mark.parametrize("kind", SMALL)
def test_one_image_does_not_change_another(kind):
    model = concept_model(kind)
    alone = model.run(tokens()[:1]).output
    assert torch.allclose(model.run(tokens()).output[:1], alone, atol=1e-5)


def test_the_transformer_attends_across_tokens():
    model = concept_model("transformer")
    changed = tokens()[:1].clone()
    changed[0, 15] = (changed[0, 15] + 1) % 12
    assert not torch.allclose(model.run(changed).output, model.run(tokens()[:1]).output)


def test_pictures_go_through_the_tokenizer():
    model = concept_model()
    seeing = ConceptModel(
        model.root, model.codebook, CONCEPTS, GRID, tokenize=lambda x: tokens(len(x))
    )
    x = torch.rand(3, 3, 8, 8)
    assert torch.equal(seeing.run(x).output, model.run(tokens()).output)
    with pytest.raises(BadInput, match=r"cnn reads tokens \(b n\); it got pictures"):
        model.run(x)


def test_top_shares_count_the_right_answers_and_no_ties():
    logits = torch.tensor([[3.0, 1, 2, 0], [0, 1, 2, 3], [1, 1, 1, 1]])
    found = top_shares(logits, torch.tensor([0, 1, 2]))
    assert found[1].tolist() == [True, False, False]
    assert found[3].tolist() == [True, True, False]
    assert 5 not in found, "there are four concepts only"


def test_refusals():
    model = concept_model()
    with pytest.raises(BadInput) as caught:
        model.number("hors")
    assert str(caught.value) == (
        "cnn knows no concept 'hors'. Did you mean 'horse'? "
        "Known: cat, dog, horse, ship, frog, truck."
    )
    broken = SMALL["cnn"].build(6, GRID, 2)
    broken[0].weight.data[0] = torch.nan
    with pytest.raises(Refused) as caught:
        ConceptModel(broken, codebook(), ("a", "b"), GRID)
    assert str(caught.value) == "concepts holds weights that are not finite. Train it again."
    with pytest.raises(BadInput, match="a CNN of 2 halvings needs a grid of 4 or more"):
        CNN().build(6, (2, 2), 3)
