from dataclasses import dataclass
from itertools import product

import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.codebook_search import Choice, CodebookSearch, EmbeddingSearch, FoundTokens
from legenda.explain.positions import AtSite
from tests.concepts.toys import concept_model, concept_units, planted, tokens
from tests.contracts import check_explainer

REGION = (5, 6, 10)


def begun(how, target=None):
    units, x = concept_units(), tokens()
    return Choice(how, units.dictionary, AtSite(units.prefix(x), target or Logit(1)), x)


def dense_twin(how, steps):
    """The published form: all positions, ±300 for those that may not move, autograd through a
    straight-through sample, the gradient multiplied by the mask; noise as ours draws it.
    """
    units, x, state = concept_units(), tokens(), begun(how)
    atoms, k = units.dictionary.atoms, len(units.dictionary)
    p = torch.full((3, 16, k), -300.0).scatter_(2, x[..., None], 300.0)
    p[:, list(REGION)] = state.p
    mask = torch.zeros(16, 1)
    mask[list(REGION)] = 1
    lot = torch.Generator().manual_seed(how.seed)
    torch.randn(state.p.shape, generator=lot)
    p.requires_grad_()
    optimizer = torch.optim.Adam([p], lr=how.lr)
    for number in range(steps):
        heat = how.warm * (how.cold / how.warm) ** (number / (how.steps - 1))
        noise = torch.zeros_like(p)
        noise[:, list(REGION)] = -torch.empty_like(state.p).exponential_(generator=lot).log()
        soft = ((p + noise) / heat).softmax(-1)
        hard = torch.nn.functional.one_hot(soft.argmax(-1), k).float()
        chosen = hard + soft - soft.detach()
        logits = units.model.logits(chosen @ atoms)
        (gradient,) = torch.autograd.grad(-logits[:, 1].sum(), [p])
        p.grad = gradient * mask
        optimizer.step()
    return p.detach()


def test_a_step_is_the_dense_straight_through_twin():
    how = CodebookSearch(REGION, steps=6, restarts=1, seed=3)
    state = begun(how)
    for number in range(6):
        state.step(number)
    slow = dense_twin(how, 6)
    torch.testing.assert_close(state.p, slow[:, list(REGION)], rtol=1e-4, atol=1e-5)
    still = [n for n in range(16) if n not in REGION]
    assert torch.equal(slow[:, still].argmax(-1), tokens()[:, still])
    assert state.p.numel() * 16 == slow.numel() * len(REGION), "only the rows of the region exist"


def test_it_finds_what_trying_everything_finds():
    units, x = concept_units(), tokens()
    every = torch.tensor(list(product(range(12), repeat=2)))
    found = CodebookSearch((5, 6), steps=200, restarts=4, every=5)(units, x, Logit(2))
    for i in range(3):
        tried = x[i].repeat(len(every), 1)
        tried[:, [5, 6]] = every
        values = units.model.run(tried).output[:, 2]
        mine = units.model.run(found.after[i : i + 1]).output[0, 2]
        rank = int((values > mine + 1e-6).sum())
        assert rank <= 2, "among the best three of 144"
        assert mine > values.quantile(0.95)


def test_it_finds_the_planted_token():
    units, x = planted(4), tokens()
    found = CodebookSearch(REGION, steps=150)(units, x, Logit(0))
    assert (found.after[:, list(REGION)] == 4).all()


def test_only_the_region_moves_and_values_are_of_what_is_reported():
    units, x = concept_units(), tokens()
    found = CodebookSearch(REGION, steps=20, every=5)(units, x, Logit(1))
    still = [n for n in range(16) if n not in REGION]
    assert torch.equal(found.after[:, still], x[:, still])
    says = units.model.run(found.after).output[:, 1]
    kept = found.values.gather(1, found.chosen[:, None])[:, 0]
    torch.testing.assert_close(says, kept, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.start, units.model.run(x).output[:, 1])
    assert torch.equal(found.chosen, found.values.argmax(1)), "without a selector, the target's own"


def test_more_restarts_are_never_worse():
    units, x = concept_units(), tokens()
    one, four = (CodebookSearch(REGION, steps=40, restarts=n)(units, x, Logit(1)) for n in (1, 8))
    assert four.values.amax(1).mean() >= one.values.amax(1).mean()


def test_a_selector_chooses_and_the_target_is_reported():
    units, x = concept_units(), tokens()

    def fewest(grids):
        return -grids[:, list(REGION)].sum(1).float()

    found = CodebookSearch(REGION, steps=40, every=4, restarts=4, selector=fewest)(units, x, Logit(1))  # fmt: skip # noqa: E501
    free = CodebookSearch(REGION, steps=40, every=4, restarts=4)(units, x, Logit(1))
    assert fewest(found.after).sum() > fewest(free.after).sum()
    says = units.model.run(found.after).output[:, 1]
    kept = found.values.gather(1, found.chosen[:, None])[:, 0]
    torch.testing.assert_close(says, kept, rtol=1e-4, atol=1e-4)


@dataclass(frozen=True)
class Likes:
    """A prior that believes in one token only."""

    token: int

    def log_probabilities(self, grids, positions):
        table = torch.full((len(grids), len(positions), 12), -8.0)
        table[..., self.token] = -0.01
        return table


def test_a_heavy_prior_has_its_way():
    units, x = concept_units(), tokens()
    found = CodebookSearch(REGION, steps=150, weight=50.0, prior=Likes(7), selector=lambda g: (g == 7).sum(1).float())(units, x, Logit(1))  # fmt: skip # noqa: E501
    assert (found.after[:, list(REGION)] == 7).all()


def test_the_rival_moves_vectors_and_reports_entries():
    units, x = planted(4), tokens()
    found = EmbeddingSearch(REGION, steps=150)(units, x, Logit(0))
    assert (found.after[:, list(REGION)] == 4).all(), "a bowl with one bottom"
    assert found.values.shape == (3, 1)


@pytest.mark.parametrize(
    "how", [CodebookSearch(REGION, steps=6, every=3), EmbeddingSearch(REGION, steps=6, every=3)],
    ids=["tokens", "vectors"],
)  # fmt: skip
def test_it_keeps_the_contract_of_an_explainer(how):
    check_explainer(how, concept_units(), tokens(), Logit((0, 1, 2)))


def test_panels_show_pictures_where_there_are_some():
    x = tokens(2)
    plain = FoundTokens(x, x, (0,), (4, 4), *(torch.zeros(2), torch.ones(2, 1)), torch.zeros(2, dtype=torch.long), torch.zeros(1, 2))  # fmt: skip # noqa: E501
    assert plain.panels()[0].image.shape == (3, 4, 4)
    assert plain.panels()[0].caption == "+0 to +1"
    seen = torch.rand(2, 3, 8, 8)
    shown = FoundTokens(*(getattr(plain, f) for f in plain.__dataclass_fields__ if f != "pictures"), (seen, seen))  # fmt: skip # noqa: E501
    assert shown.panels()[1].image.shape == (3, 8, 16)


def test_refusals():
    units, x = concept_units(), tokens()
    with pytest.raises(BadInput) as caught:
        CodebookSearch((3, 16))(units, x, Logit(0))
    assert str(caught.value) == (
        "CodebookSearch was given positions from 3 to 16 for a grid of 16, numbered from 0, each "
        "once. Choose a region on the grid."
    )
    with pytest.raises(BadInput, match="needs a region of one position or more"):
        CodebookSearch(())
    with pytest.raises(BadInput, match="temperatures warm ≥ cold > 0"):
        CodebookSearch((0,), warm=0.1, cold=1.0)
    with pytest.raises(BadInput, match="weighs a prior by 1.0 and has none"):
        CodebookSearch((0,), weight=1.0)
    with pytest.raises(Unsupported, match="a model seen through its codebook"):
        CodebookSearch((0,))(Units(concept_model(), Identity(6)), x, Logit(0))
    with pytest.raises(Unsupported, match="Take the logit of a concept model"):
        CodebookSearch((0,))(units, x, units[3])
