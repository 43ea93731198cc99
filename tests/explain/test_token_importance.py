from dataclasses import replace

import pytest
import torch

from legenda.core.target import Logit
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.positions import normal
from legenda.explain.token_importance import REDUCE, TokenImportance
from tests.concepts.toys import concept_units, planted, tokens
from tests.contracts import check_explainer

LABELS = (2, 0, 5)
SLOW = {
    "max_abs": lambda g, e: g.abs().max(),
    "max_signed": lambda g, e: g.max(),
    "mean": lambda g, e: g.mean(),
    "l2": lambda g, e: g.pow(2).sum().sqrt(),
    "grad_times_input": lambda g, e: (g * e).sum(),
}


def slow_twin(units, x, labels, how):
    """Equations (1) to (3): one image, one copy, one backward pass through all images a time."""
    model, acts = units.model, units.model.acts(x)
    b, n, d = acts.shape
    noise = normal((n, how.draws, d), how.seed).to(acts)
    held = {"batch": acts, "codebook": units.dictionary.atoms}
    scores = torch.zeros(b, n, dtype=acts.dtype)
    for i in range(b):
        span = held.get(how.span, acts[i])
        sigma = how.scale * (span.max() - span.min())
        slope = torch.zeros(n, d, dtype=acts.dtype)
        for s in range(how.draws):
            noisy = (acts + sigma * noise[:, s]).requires_grad_()
            logit = model.logits(noisy)[i, labels[i]]
            (gradient,) = torch.autograd.grad(logit, [noisy], create_graph=True)
            slope += gradient[i].detach() / how.draws
        for p in range(n):
            scores[i, p] = SLOW[how.reduce](slope[p], acts[i, p])
    return scores


@pytest.mark.parametrize("kind", ["cnn", "resnet", "transformer"])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("reduce", REDUCE)
def test_it_is_the_slow_twin(kind, dtype, limit, reduce):
    units, x = concept_units(kind, dtype), tokens()
    how = TokenImportance(draws=3, reduce=reduce, seed=4, batch=4)
    slow = slow_twin(units, x, LABELS, how)
    fast = how(units, x, Logit(LABELS)).scores
    assert (fast - slow).abs().max() <= limit * slow.abs().max()


@pytest.mark.parametrize("span", ["batch", "codebook"])
def test_other_spans_are_the_slow_twin_too(span):
    units, x = concept_units(), tokens()
    how = TokenImportance(draws=2, span=span)
    slow = slow_twin(units, x, LABELS, how)
    fast = how(units, x, Logit(LABELS)).scores
    assert (fast - slow).abs().max() <= 1e-5 * slow.abs().max()


def test_a_batch_changes_no_image_unless_its_range_is_asked_for():
    units, x, how = concept_units(), tokens(), TokenImportance(draws=3)
    x[0] = torch.arange(16) % 2  # of a smaller range than its neighbours
    whole, alone = how(units, x, Logit(2)).scores[0], how(units, x[:1], Logit(2)).scores[0]
    assert torch.allclose(whole, alone, rtol=1e-4, atol=1e-7)
    theirs = replace(how, span="batch")
    whole = theirs(units, x, Logit(2)).scores[0]
    assert not torch.allclose(whole, theirs(units, x[:1], Logit(2)).scores[0], rtol=1e-3)


def test_the_number_of_copies_at_once_changes_nothing():
    units, x = concept_units(), tokens()
    one, many = (TokenImportance(draws=5, batch=b)(units, x, Logit(1)).scores for b in (1, 64))
    assert torch.allclose(one, many, rtol=1e-4, atol=1e-7)


def test_without_noise_it_is_the_slope_itself():
    units, x = planted(4), tokens()
    scores = TokenImportance(scale=0.0, draws=1)(units, x, Logit(0)).scores
    assert (x == 4).any()
    assert scores[x == 4].abs().max() < 1e-6, "a soft count is flat at its peak"


def test_it_finds_the_planted_token():
    units, x = planted(4), tokens(200, seed=8)
    x = x[(x == 4).sum(1) == 1]
    scores = TokenImportance(scale=0.1, draws=40)(units, x, Logit(0)).scores
    first = x.gather(1, scores.argmax(1, keepdim=True))[:, 0]
    assert len(x) > 40
    assert (first == 4).all(), "recall of the one planted token at n = 1 is 1"


def test_more_draws_agree_better_between_seeds():
    units, x = concept_units(), tokens()

    def gap(draws):
        a, b = (TokenImportance(draws, seed=s)(units, x, Logit(0)).scores for s in (0, 1))
        return (a - b).norm()

    assert gap(64) < gap(2) / 2


def test_the_sign_is_kept_where_it_is_asked_for():
    units, x = concept_units(), tokens()
    signed = TokenImportance(draws=2, reduce="mean")(units, x, Logit(0)).scores
    assert (signed < 0).any() and (signed > 0).any()
    assert (TokenImportance(draws=2)(units, x, Logit(0)).scores >= 0).all()


def test_it_keeps_the_contract_of_an_explainer():
    check_explainer(TokenImportance(draws=2), concept_units(), tokens(), Logit(LABELS))


def test_it_sums_per_token():
    units, x = concept_units(), tokens()
    found = TokenImportance(draws=2)(units, x, Logit(0))
    per_token = found.per_unit(units.codes(x))
    assert torch.allclose(per_token[0, 7], found.scores[0][x[0] == 7].sum())


def test_refusals():
    with pytest.raises(BadInput, match="at least one draw and one copy at once"):
        TokenImportance(draws=0)
    how = TokenImportance()
    object.__setattr__(how, "reduce", "max")  # past the checks that only tests have
    with pytest.raises(BadInput, match="it got 'max' and 'image'. Choose one."):
        how.__post_init__()
    units = concept_units()
    with pytest.raises(Unsupported, match="A token is on or off, so it has no slope"):
        TokenImportance()(units, tokens(), Units(units.model, units.dictionary)[3])
