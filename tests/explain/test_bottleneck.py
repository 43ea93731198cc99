"""The bottleneck, re-implemented slowly and literally from its equations, and its laws."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from legenda.core.dictionary import Identity
from legenda.core.model import Run, prefix_of
from legenda.core.target import Logit, Similarity
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput, Unsupported
from legenda.explain.bottleneck import Blur, Channel, InformationBottleneck
from tests.contracts import near
from tests.toys import SENTENCES, ToyEncoder, pixels, tiny_dual


def toy():
    return Units(ToyEncoder(), Identity(6)), pixels(), Logit(0)


def patches():
    dual, x = tiny_dual("clip"), pixels(2, 16)
    return Units(dual.image, Identity(16)), x, dual.similar_to_text(SENTENCES[:2])


def words():
    dual = tiny_dual("clip")
    target = dual.similar_to_images(pixels(3, 16))
    return Units(dual.text, Identity(16)), dual.ids(SENTENCES), target


PLACES = [toy, patches, words]


def surveyed(units, x):
    return Moments.of(prefix_of(units.model, x))


# ----------------------------------------------------------------------------- literal twin


def literal(how, units, x, target):
    """Equations (1) to (4), one pair, one draw and one whole forward pass at a time."""
    marks = prefix_of(units.model, x)
    moments = how.moments or Moments.of(marks)
    return torch.stack(
        [_literal_pair(how, units, x, target, marks, moments, i) for i in range(len(x))]
    )


def _literal_pair(how, units, x, target, marks, moments, i):
    acts = units.model.run(x[i : i + 1]).acts.detach()[0]
    special, valid = marks.special[i], marks.valid[i]
    count = iter(range(len(special)))
    rank = [next(count) if s else None for s in special & valid]
    mu = torch.stack([moments.mean if k is None else moments.special_mean[k] for k in rank])
    sigma = torch.stack([moments.spread if k is None else moments.special_spread[k] for k in rank])
    r = (acts - mu) / sigma
    covered = valid if how.special == "channel" else valid & ~special
    beta = how.beta
    if how.adaptive:
        clean = target.at(torch.tensor([i]))(units.model.run(x[i : i + 1]))
        beta = beta / max(0.05, clean.item())

    def blurred(alpha):
        """λ, each patch a Gaussian mean over all patches of its row and column."""
        mask, grid = alpha.sigmoid(), units.model.grid
        if not grid or not how.smooth:
            return mask
        first = int(special.sum())
        places = [(row, column) for row in range(grid[0]) for column in range(grid[1])]
        rows = []
        for row, column in places:
            weights = [
                math.exp(-((row - v) ** 2 + (column - w) ** 2) / (2 * how.smooth**2))
                for v, w in places
            ]
            shares = zip(weights, mask[first:], strict=True)
            rows.append(sum(w * m for w, m in shares) / sum(weights))
        return torch.cat([mask[:first], torch.stack(rows)])

    def kl(alpha):
        mask = blurred(alpha)
        channel = Normal(mask * r, (1 - mask).expand_as(r))
        return kl_divergence(channel, Normal(torch.zeros_like(r), torch.ones_like(r)))  # (2)

    width = 1 if how.per == "token" else acts.shape[1]
    alpha = torch.full((len(acts), width), how.start, requires_grad=True)
    first, second, before = torch.zeros_like(alpha), torch.zeros_like(alpha), alpha
    half = (how.draws + 1) // 2 if how.antithetic else how.draws
    for step in range(1, how.steps + 1):
        lot = torch.Generator().manual_seed(how.seed * 1_000_003 + step - 1)
        wide = -(-acts.shape[1] // 16) * 16
        noise = torch.randn(len(acts), half, wide, generator=lot)[..., : acts.shape[1]]
        noise = list(noise.unbind(1))
        noise = (noise + [-n for n in noise])[: how.draws] if how.antithetic else noise
        noise = (
            [torch.zeros(acts.shape)]
            if torch.tensor(how.lr * (step - 1) - how.start).sigmoid() <= how.quiet
            else noise
        )  # noqa: E501
        fit = torch.tensor(0.0)
        for eps in noise:
            rows, masks = [], blurred(alpha)
            for n in range(len(acts)):
                mask = masks[n]
                if covered[n]:
                    rows.append(mask * acts[n] + (1 - mask) * (mu[n] + sigma[n] * eps[n]))  # (1)
                elif special[n] and how.special == "block":
                    rows.append(mu[n])
                else:
                    rows.append(acts[n])
            z = torch.stack(rows)[None]
            run = units.model.run(x[i : i + 1], edit=lambda _, z=z: z)
            fit = fit + target.at(torch.tensor([i]))(run)[0] / len(noise)
        share = torch.tensor(how.lr * (step - 1) - how.start).sigmoid()
        if share <= how.coast and step <= how.steps // 2:
            fit = fit.detach()
        loss = beta * kl(alpha)[covered].mean() - fit  # (4)
        (slope,) = torch.autograd.grad(loss, [alpha])
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2  # Adam
        stride = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        before = alpha.detach()
        alpha = (before - how.lr * stride).requires_grad_()
    nats = kl(before if how.stale else alpha.detach()).sum(-1)
    return torch.where(covered, nats, torch.zeros(()))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"per": "entry", "draws": 3, "beta": 0.1, "smooth": 0.5, "quiet": 0.01, "coast": 0.0},
        {
            "antithetic": False,
            "quiet": 0.0,
            "coast": 0.0,
            "special": "channel",
            "stale": True,
            "moments": "given",
            "smooth": 0.0,
        },
        {"special": "keep", "adaptive": True, "beta": 5.0, "seed": 7, "smooth": 2.0},
    ],
    ids=["default", "entry", "published", "keep-adaptive"],
)
@pytest.mark.parametrize("place", PLACES)
def test_it_is_the_literal_twin_at_identical_noise(place, settings):
    units, x, target = place()
    how = InformationBottleneck(steps=7, **{k: v for k, v in settings.items() if k != "moments"})
    if "moments" in settings:
        how = replace(how, moments=surveyed(units, x.flip(0)))
    found, slow = how(units, x, target).scores, literal(how, units, x, target)
    assert (found - slow).norm() <= 1e-3 * slow.norm()


def plain_channel(units, x, blur=None):
    prefix = prefix_of(units.model, x)
    return Channel.over(prefix, torch.arange(len(x)), InformationBottleneck(), blur)


def test_information_is_the_kl_of_equation_2():
    units, x, _ = toy()
    channel = plain_channel(units, x)
    for alpha in (torch.randn(3, 4, 6) * 4, torch.randn(3, 4, 1) * 4):
        gate = Normal(alpha.sigmoid() * channel.r, (-alpha).sigmoid().expand_as(channel.r))
        standard = Normal(torch.zeros_like(channel.r), torch.ones_like(channel.r))
        assert near(channel.information(alpha), kl_divergence(gate, standard))


def test_information_never_overflows():
    units, x, _ = toy()
    channel = plain_channel(units, x)
    wide = channel.information(torch.full((3, 4, 1), 500.0))
    assert wide.isfinite().all()
    assert near(wide, 0.5 * (channel.r**2 - 1) + 500)
    blurred = plain_channel(units, x, Blur.over((2, 2), 1.0))
    alpha = torch.full((3, 4, 1), 500.0, requires_grad=True)
    (slope,) = torch.autograd.grad(blurred.information(alpha).sum(), [alpha])
    assert blurred.information(alpha).isfinite().all() and slope.isfinite().all()


# ------------------------------------------------------------------------------------- laws


def test_a_blur_leaves_a_constant_and_the_total_order_and_reaches_no_special_token():
    dual, x = tiny_dual("clip"), pixels(2, 16)
    prefix = prefix_of(dual.image, x)
    drawn = prefix.valid & ~prefix.special
    blur = Blur.over(dual.image.grid, 0.8)
    even = torch.full((2, 17, 1), 0.3)
    assert near(blur(even, drawn), even)
    spike = torch.zeros(2, 17, 1)
    spike[:, 0], spike[:, 1 + 4 + 1] = 5.0, 1.0
    found = blur(spike, drawn)
    assert near(found[:, 0], spike[:, 0]), "the class token has no neighbours"
    assert (found[:, 1:].argmax(1) == 5).all() and (found[:, 1:] > 0).all()
    assert near(found[0, 1:].reshape(4, 4), found[0, 1:].reshape(4, 4).mT)


def test_words_are_never_blurred():
    units, x, target = words()
    sharp = InformationBottleneck(smooth=0.0)(units, x, target)
    assert torch.equal(InformationBottleneck(smooth=3.0)(units, x, target).scores, sharp.scores)


@pytest.mark.parametrize("smooth", [-1.0, float("nan"), float("inf")])
def test_a_blur_is_a_width(smooth):
    with pytest.raises(BadInput) as caught:
        InformationBottleneck(smooth=smooth)
    assert str(caught.value) == (
        f"InformationBottleneck needs a blur smooth of 0 or more patches; it got {smooth}. "
        "Try 1, or 0 for none."
    )


def test_a_closed_mask_carries_no_information():
    units, x, _ = toy()
    channel = plain_channel(units, x)
    assert channel.information(torch.full((3, 4, 1), -30.0)).abs().max() < 1e-6


@pytest.mark.parametrize("place", PLACES)
def test_a_dearer_nat_leaves_less_information(place):
    prices = (0.0001, 0.001, 0.1)
    nats = [InformationBottleneck(beta=b)(*place()).scores.sum() for b in prices]
    assert nats[0] > nats[1] > nats[2]


@pytest.mark.parametrize("place", PLACES)
def test_batching_changes_no_pair(place):
    units, x, target = place()
    how = InformationBottleneck(moments=surveyed(units, x))
    whole = how(units, x, target)
    for batch in (1, 4):
        parts = replace(how, batch=batch)(units, x, target)
        assert near(parts.scores, whole.scores)
    for i in range(len(x)):
        row = torch.tensor([i])
        alone = how(units, x[row], target.at(row))
        assert near(alone.scores[0], whole.scores[i])
        for name, figure in whole.figures.items():
            assert near(alone.figures[name][0], figure[i]), name


def test_the_padding_of_neighbours_changes_no_word():
    dual = tiny_dual("clip")
    units, short = Units(dual.text, Identity(16)), "a red house"
    target = dual.similar_to_images(pixels(1, 16))
    moments = surveyed(units, dual.ids(SENTENCES))
    how = InformationBottleneck(moments=moments, steps=5)
    alone = how(units, dual.ids([short]), target)
    padded = how(units, dual.ids([short, SENTENCES[2]]), target)
    length = alone.scores.shape[1]
    assert padded.scores.shape[1] > length, "there is padding to speak of"
    assert near(padded.scores[0, :length], alone.scores[0])
    assert not padded.scores[0, length:].any()
    assert not padded.drawn[0, length:].any()


@pytest.mark.parametrize("place", [patches, words])
def test_special_tokens_are_blocked_kept_or_go_through_the_channel(place):
    units, x, target = place()
    prefix = prefix_of(units.model, x)
    moments = surveyed(units, x)
    by = {
        policy: InformationBottleneck(special=policy, moments=moments, steps=3)(units, x, target)
        for policy in ("block", "keep", "channel")
    }
    for policy in ("block", "keep"):
        assert not by[policy].scores[prefix.special].any(), "no nat is spent on special tokens"
        assert near(by[policy].figures["special"], torch.zeros(len(x)))
    assert (by["channel"].scores[prefix.special] > 0).all()
    assert (by["channel"].figures["special"] > 0).all()
    clean = target(units.model.run(x))
    where = prefix.special[..., None]
    means = moments.special_mean[
        (prefix.special.cumsum(1) - 1).clamp(0, moments.special_mean.shape[0] - 1)
    ]
    base = torch.where(where, means, prefix.acts)
    blocked = target(units.model.run(x, edit=lambda _: base))
    assert near(by["block"].figures["blocked"], blocked)
    assert not near(blocked, clean), "blocking takes something away"
    for policy in ("keep", "channel"):
        assert near(by[policy].figures["blocked"], clean)
    for found in by.values():
        assert near(found.figures["clean"], clean)
        assert not (found.drawn & prefix.special).any()


def test_adaptive_divides_the_price_by_the_clean_match():
    units, x, target = patches()
    clean = target(units.model.run(x)).tolist()
    moments = surveyed(units, x)
    adaptive = InformationBottleneck(adaptive=True, moments=moments)(units, x, target)
    for i in range(len(x)):
        row, price = torch.tensor([i]), 1.0 / max(0.05, clean[i])
        fixed = InformationBottleneck(beta=price, moments=moments)(units, x[row], target.at(row))
        assert near(adaptive.scores[i], fixed.scores[0])


def test_no_tolerance_never_stops_and_any_tolerance_stops_at_once():
    place = toy()
    never = InformationBottleneck(steps=6)(*place)
    zero = InformationBottleneck(steps=6, tolerance=0.0)(*place)
    assert torch.equal(never.scores, zero.scores)
    once = InformationBottleneck(steps=1)(*place)
    lax = InformationBottleneck(steps=6, tolerance=1e9)(*place)
    assert torch.equal(lax.scores, once.scores), "only the first step is taken"


def test_no_step_is_taken_once_all_pairs_have_settled():
    units, x, target = toy()
    passes = []
    hook = units.model.head.register_forward_hook(lambda *_: passes.append(1))
    InformationBottleneck(steps=9, coast=0.0)(units, x, target)
    whole, passes[:] = len(passes), []
    InformationBottleneck(steps=9, coast=0.0, tolerance=1e9)(units, x, target)
    hook.remove()
    assert len(passes) == whole - 7, "two steps tell that nothing changes"


def test_a_picture_that_stands_for_many_is_run_once():
    dual, one = tiny_dual("clip"), pixels(1, 16)
    units, counted = Units(dual.image, Identity(16)), []
    target = dual.similar_to_text(SENTENCES)
    site = dual.image.root.vision_model.embeddings.register_forward_hook(
        lambda _, args, out: counted.append(len(out))
    )
    moments = Moments.raw(16)
    how = InformationBottleneck(moments=moments)
    shared = how(units, one.expand(3, -1, -1, -1), target)
    embedded = dual.embed_images(one.expand(3, -1, -1, -1))
    assert counted == [1, 1]
    site.remove()
    apart = how(units, one.repeat(3, 1, 1, 1), target)
    assert near(shared.scores, apart.scores)
    assert near(embedded, dual.embed_images(one.repeat(3, 1, 1, 1)))


def test_a_stale_map_is_that_of_one_step_less():
    fresh = InformationBottleneck(steps=4)(*toy())
    stale = InformationBottleneck(steps=5, stale=True)(*toy())
    assert torch.equal(stale.scores, fresh.scores)


def test_raw_moments_are_zero_and_one():
    units, x, target = toy()
    raw = InformationBottleneck(moments="raw")(units, x, target)
    given = InformationBottleneck(moments=Moments.raw(6))(units, x, target)
    assert torch.equal(raw.scores, given.scores)


def test_other_seeds_give_other_noise():
    units, x, target = toy()
    one, other = (InformationBottleneck(seed=s, beta=0.01)(units, x, target).scores for s in (0, 1))
    assert not torch.equal(one, other)


def test_several_targets_share_what_comes_before_the_site():
    units, x, _ = toy()
    seen = []
    hook = units.model.patch.register_forward_hook(lambda *_: seen.append(1))
    prefix_of(units.model, x)
    once, seen[:] = len(seen), []
    dual, y = tiny_dual("clip"), pixels(2, 16)
    inner = Units(dual.image, Identity(16))
    counted = []
    site = dual.image.root.vision_model.embeddings.register_forward_hook(
        lambda *_: counted.append(1)
    )
    targets = [dual.similar_to_text([s, s]) for s in SENTENCES]
    many = InformationBottleneck(steps=2).many(inner, y, targets)
    hook.remove(), site.remove()
    assert once == 1 and counted == [1], "the pictures were embedded once for three phrases"
    for found, target in zip(many, targets, strict=True):
        alone = InformationBottleneck(steps=2)(inner, y, target)
        assert torch.equal(found.scores, alone.scores)


def test_figures_are_what_they_say():
    units, x, target = patches()
    found = InformationBottleneck()(units, x, target)
    assert set(found.figures) == {"clean", "blocked", "bottlenecked", "kept", "special"}
    assert found.unit == "nats"
    assert ((found.figures["kept"] >= 0) & (found.figures["kept"] <= 1.5)).all()


# ---------------------------------------------------------------------------- planted truth


class OneMatters(nn.Module):
    """The output depends on position 2 alone."""

    name, ref, grid = "one-matters", "tests", (2, 2)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 5)

    def acts(self, x):
        return self.patch(x).flatten(2).mT

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: (3 * self.head(acts[:, 2].sin())).tanh())


@pytest.mark.parametrize("per", ["token", "entry"])
def test_the_position_that_matters_gets_the_nats(per):
    units, x = Units(OneMatters(), Identity(6)), pixels(8)
    itself = Similarity(tuple("abcdefgh"), units.model.run(x).output.detach())
    nats = InformationBottleneck(beta=0.01, steps=20, per=per, smooth=0.0)(units, x, itself).scores
    assert (nats.argmax(1) == 2).all()
    assert nats[:, 2].mean() > 10 * nats[:, [0, 1, 3]].mean()


# ---------------------------------------------------------------------------------- refusals


def test_a_unit_at_the_same_site_is_refused():
    units, x, _ = toy()
    with pytest.raises(Unsupported) as caught:
        InformationBottleneck()(units, x, units[3])
    assert str(caught.value) == (
        "InformationBottleneck needs a target on the output; toy-encoder/neurons/3 has none. "
        "It pours noise over the acts, so a unit there would explain itself."
    )


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_must_be_above_zero(beta):
    with pytest.raises(BadInput) as caught:
        InformationBottleneck(beta=beta)
    assert str(caught.value) == (
        f"InformationBottleneck needs a finite price beta above 0; it got {beta}. "
        "Without a price nothing is left out. Try 1."
    )


def test_it_takes_at_least_a_step_and_a_draw():
    with pytest.raises(BadInput) as caught:
        InformationBottleneck(steps=0)
    assert str(caught.value) == (
        "InformationBottleneck needs at least one step, one draw and one copy at once, and quiet "
        "and coast from 0 to below 1; it got steps=0, draws=4, batch=128, quiet=0.27, coast=0.12."
    )


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"lr": float("inf")}, {"start": float("nan")}])
def test_the_rate_and_the_start_are_numbers_that_move_something(settings):
    given = {"lr": 1.0, "start": 5.0, **settings}
    with pytest.raises(BadInput) as caught:
        InformationBottleneck(**settings)
    assert str(caught.value) == (
        "InformationBottleneck needs a rate lr above 0 and a finite start; it got "
        f"lr={given['lr']}, start={given['start']}. Try lr=1.0, start=5.0."
    )


def test_the_settings_are_the_identity_moments_too():
    units, x, _ = toy()
    one, other = surveyed(units, x), surveyed(units, pixels(seed=9))
    keys = [repr(InformationBottleneck(moments=m)) for m in (None, "raw", one, other)]
    assert len(set(keys)) == 4
    assert repr(surveyed(units, x)) == repr(one), "the same numbers have the same name"
    raw = InformationBottleneck(moments="raw")
    assert eval(repr(raw)) == raw
