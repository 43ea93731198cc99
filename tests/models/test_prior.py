from math import log

import pytest
import torch

from legenda.errors import BadInput
from legenda.models.prior import PriorNetwork, TokenPrior, hidden


def prior(entries=6):
    torch.manual_seed(0)
    network = PriorNetwork(entries, 2, (4, 4), width=16, depth=1, heads=2)
    return TokenPrior(network, ("cat", "dog"))


class Rule(PriorNetwork):
    """Tokens are all those that the first shown one is; where none is shown, the class number."""

    def forward(self, tokens, classes):
        shown = torch.where(tokens < self.entries, tokens, -1).amax(1)
        belief = torch.where(shown >= 0, shown, classes)
        return 30 * torch.nn.functional.one_hot(belief, self.entries).float()[:, None].expand(
            -1, tokens.shape[1], -1
        )


def ruled():
    return TokenPrior(Rule(6, 2, (4, 4), width=16, depth=1, heads=2), ("cat", "dog"))


def grids(count=3):
    return torch.randint(6, (count, 16), generator=torch.Generator().manual_seed(2))


def test_cells_are_squares_of_four_and_come_back_in_order():
    network, tokens = prior().network, torch.arange(16)[None]
    assert network.cells(tokens)[0, :2].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    values = network.cells(tokens)[..., None].float()
    assert network.uncelled(values)[0, :, 0].tolist() == list(range(16))


def test_its_probabilities_are_probabilities_and_do_not_see_what_is_hidden():
    model, tokens, at = prior(), grids(), torch.tensor([0, 5])
    table = model.log_probabilities(tokens, at)
    assert torch.allclose(table.exp().sum(2), torch.ones(3, 2), atol=1e-5)
    other = tokens.clone()
    other[:, at] = (other[:, at] + 1) % 6
    assert torch.equal(model.log_probabilities(other, at), table)
    other[:, 9] = (other[:, 9] + 1) % 6
    assert not torch.equal(model.log_probabilities(other, at), table)


def test_filling_touches_only_what_is_gone():
    model, tokens = prior(), grids()
    gone = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)) < 0.5
    found = model.fill(tokens, gone, seed=4)
    assert torch.equal(found[~gone], tokens[~gone])
    assert found.max() < 6
    assert torch.equal(found, model.fill(tokens, gone, seed=4))
    assert not torch.equal(found, model.fill(tokens, gone, seed=5))


def test_what_follows_a_rule_is_filled_by_it():
    tokens = torch.full((2, 16), 3)
    gone = torch.arange(16) > 2
    assert (ruled().fill(tokens, gone.expand(2, -1)) == 3).all()
    painted = ruled().paint(["cat", "dog"])
    assert painted.tolist() == [[0] * 16, [1] * 16]


def test_a_trained_prior_knows_what_it_saw():
    torch.manual_seed(0)
    network = PriorNetwork(6, 2, (4, 4), width=32, depth=1, heads=2)
    tokens, kinds = torch.tensor([[0] * 16, [5] * 16]), torch.tensor([0, 1])
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(150):
        lot = torch.Generator().manual_seed(step)
        gone = hidden(tokens, lot)
        logits = network(tokens.masked_fill(gone, 6), kinds)
        loss = torch.nn.functional.cross_entropy(logits[gone], tokens[gone])
        grads = torch.autograd.grad(loss, list(network.parameters()))
        for parameter, grad in zip(network.parameters(), grads, strict=True):
            parameter.grad = grad
        optimizer.step()
    assert float(loss.detach()) < 0.1 < log(6)
    assert TokenPrior(network, ("cat", "dog")).paint(["dog", "cat"]).tolist() == [
        [5] * 16,
        [0] * 16,
    ]


def test_shares_hidden_follow_a_cosine():
    lot = torch.Generator().manual_seed(0)
    gone = hidden(torch.zeros(4000, 16, dtype=torch.long), lot)
    assert abs(float(gone.float().mean()) - 2 / torch.pi) < 0.04
    assert gone.any(1).all()


def test_unknown_classes_are_refused():
    with pytest.raises(BadInput) as caught:
        prior().paint(["dot"])
    assert str(caught.value) == (
        "the prior knows no class 'dot'. Did you mean 'dog'? Known: cat, dog."
    )
