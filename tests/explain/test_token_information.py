import pytest
import torch

from legenda.core.codebook import Codebook
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.token_information import TokenInformation
from tests.concepts.toys import concept_units
from tests.concepts.world import recall, telling, trained, units
from tests.contracts import check_explainer
from tests.toys import ToyEncoder, pixels


def channelled():
    return units(trained(0.1))


def slow_twin(model, tokens):
    """One position of one image a time, from the seven-by-seven neighbourhood that it sees."""
    net, found = model.root, torch.zeros(tokens.shape)
    for i, row in enumerate(tokens):
        r = torch.zeros(8, 10, 10)
        for n, token in enumerate(row.tolist()):
            e = model.codebook.atoms[token]
            r[:, 2 + n // 6, 2 + n % 6] = (e - net.mean.flatten()) / net.spread.flatten()
        for n in range(36):
            y, x = n // 6, n % 6
            inner = torch.zeros(32, 3, 3)
            for dy in range(3):
                for dx in range(3):
                    if not (0 <= y + dy - 1 < 6 and 0 <= x + dx - 1 < 6):
                        continue  # outside of the grid the second layer sees nothing
                    seen = r[:, y + dy : y + dy + 3, x + dx : x + dx + 3]
                    weight, bias = net.gate[0].weight, net.gate[0].bias
                    inner[:, dy, dx] = ((weight * seen).sum((1, 2, 3)) + bias).clamp(min=0)
            alpha = (net.gate[2].weight[0] * inner).sum() + net.gate[2].bias[0]
            share, own = torch.sigmoid(alpha), r[:, 2 + y, 2 + x]
            each = 0.5 * (share**2 * own**2 + (1 - share) ** 2 - 1) - torch.log(1 - share)
            found[i, n] = each.sum()
    return found


def test_it_is_the_slow_twin():
    tokens = telling()[0][:2]
    found = TokenInformation()(channelled(), tokens, Logit(0)).scores
    torch.testing.assert_close(found, slow_twin(channelled().model, tokens), rtol=1e-3, atol=1e-4)


def test_it_finds_the_planted_tokens():
    tokens, _, planted = telling()
    found = TokenInformation()(channelled(), tokens, Logit(1))
    assert recall(found.scores, planted) >= 0.95
    assert found.unit == "nats" and (found.scores >= 0).all()
    assert torch.equal(found.figures["total"], found.scores.sum(1))


def test_the_target_changes_nothing_and_neither_does_the_batch():
    tokens = telling()[0][:5]
    one, other = (TokenInformation()(channelled(), tokens, Logit(c)).scores for c in (0, 2))
    assert torch.equal(one, other)
    alone = TokenInformation(batch=1)(channelled(), tokens, Logit(0)).scores
    torch.testing.assert_close(one, alone, rtol=1e-4, atol=1e-5)


def test_it_sums_per_token():
    tokens = telling()[0][:4]
    found = TokenInformation()(channelled(), tokens, Logit(0))
    per_token = found.per_unit(channelled().codes(tokens))
    torch.testing.assert_close(per_token[0, 7], found.scores[0][tokens[0] == 7].sum())


def test_it_keeps_the_contract_of_an_explainer():
    check_explainer(TokenInformation(), channelled(), telling()[0][:3], Logit(1))


def test_refusals():
    advice = (
        "Train one as `Bottlenecked`, or use TokenImportance, or InformationBottleneck, which "
        "fits a channel to each image."
    )
    tokens = telling()[0]
    with pytest.raises(Unsupported) as caught:
        TokenInformation()(concept_units(), tokens, Logit(0))
    assert str(caught.value) == (
        "TokenInformation needs a concept model with a channel that charges for tokens; cnn has "
        f"none. {advice}"
    )
    encoder = Units(ToyEncoder(), Codebook(torch.randn(4, 6)))
    with pytest.raises(Unsupported, match="TokenInformation needs a concept model with a channel"):
        TokenInformation()(encoder, pixels(), Logit(0))
    with pytest.raises(BadInput) as wrong:
        TokenInformation(batch=0)
    assert str(wrong.value) == "TokenInformation needs one image at once; it got batch=0."
