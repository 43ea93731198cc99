import json
import os
import re
from functools import cache
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest
import torch

from legenda.dictionaries.compass import Compass, resumed
from legenda.dictionaries.logistic import fitted
from legenda.errors import BadInput, Missing, Refused
from tests.contracts import check_dictionary
from tests.dictionaries.named import Person, correlation, factor_world, guided, lot_of, needed

SEEDS = range(10)


def pool(count=60):
    return factor_world(count)[0]


def clicked(compass, clicks, factor=0):
    person = Person(factor_world(len(compass._pool))[1][:, factor], 0.0, 0)
    for _ in range(clicks):
        picture = compass.next()
        compass.label(picture, person.says(picture))
    return compass


# ------------------------------------------------------------------------ equations


def test_the_fit_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    lot = lot_of(0)
    x = torch.randn(30, 4, generator=lot, dtype=torch.float64)
    y = (x[:, 0] + 0.5 * torch.randn(30, generator=lot) > 0).double() * 2 - 1
    w, _ = fitted(x, y, 2.0)
    slow = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=1000)
    assert np.allclose(w.numpy(), slow.fit(x.numpy(), y.numpy()).coef_[0], atol=1e-5)


def test_how_unsure_it_is_is_the_curve_of_the_loss():
    lot = lot_of(1)
    x = torch.randn(20, 3, generator=lot, dtype=torch.float64)
    y = torch.randn(20, generator=lot, dtype=torch.float64).sign()
    w, unsure = fitted(x, y, 0.7)

    def loss(v):
        return 0.35 * v @ v + (1 + (-y * (x @ v)).exp()).log().sum()

    curve = torch.func.hessian(loss)(w)
    assert torch.allclose(torch.linalg.inv(curve), unsure, atol=1e-8)
    assert torch.allclose(torch.func.grad(loss)(w), torch.zeros(3).double(), atol=1e-8)


@pytest.mark.parametrize("by", ["gain", "margin"])
def test_the_next_picture_is_the_best_of_equations_3_and_4(by):
    compass = clicked(Compass(pool(), by), 8)
    w, unsure = fitted(*compass._labelled(), compass.ridge)
    best, worth = None, -float("inf")
    for i, x in enumerate(compass._pool):
        p = 1 / (1 + float((-(x @ w)).exp()))
        own = 0.5 * np.log(1 + p * (1 - p) * float(x @ unsure @ x))
        own = -abs(float(x @ w)) if by == "margin" else own
        if i not in compass.labels and own > worth:
            best, worth = i, own
    assert compass.next() == best


# ------------------------------------------------------------------------ laws


def test_first_pictures_come_by_lot_and_the_same_until_a_click():
    first = [Compass(pool(), seed=s).next() for s in range(8)]
    assert len(set(first)) > 4
    compass = Compass(pool())
    assert compass.next() == compass.next() == first[0]
    compass.label(first[0], True)
    assert compass.next() == Compass(pool(), "random")._place.argsort()[1], "no no has been heard"


def test_units_and_origin_of_the_pool_change_no_question():
    one, other = clicked(Compass(pool()), 12), clicked(Compass(7 * pool() + 3), 12)
    assert one.clicks == other.clicks
    assert torch.allclose(one.direction().lines, other.direction().lines, atol=1e-5)


def test_answers_turned_round_turn_the_direction_round():
    one, other = Compass(pool()), Compass(pool())
    for i in range(10):
        one.label(i, i % 3 == 0)
        other.label(i, i % 3 != 0)
    assert torch.allclose(one.direction().lines, -other.direction().lines, atol=1e-5)
    assert one.next() == other.next()


def test_a_direction_is_a_dictionary_in_standard_deviations():
    compass = clicked(Compass(pool()), 12)
    direction = compass.direction("size")
    check_dictionary(direction, pool()[:6, None].float())
    codes = direction.encode(pool()[:, None].float()).weight
    assert float(codes.std()) == pytest.approx(1, abs=1e-4)
    assert direction.names == ("size",) and direction.made["clicks"] == 12


def test_a_second_look_is_a_click_and_takes_back_acceptance():
    compass = clicked(Compass(pool()), 10)
    before = compass.direction().lines
    found = compass.accept()
    assert compass.accepted and found.made["accepted"]
    picture = compass.clicks[3][0]
    compass.relabel(picture, not compass.labels[picture])
    assert not compass.accepted and len(compass.clicks) == 11 and len(compass.labels) == 10
    assert not torch.allclose(before, compass.direction().lines, atol=1e-3)


def test_a_wrong_label_is_doubted_first():
    acts, factors = factor_world(200)
    compass = Compass(acts)
    for i in range(40):
        compass.label(i, bool(factors[i, 0] > 0))
    assert len(compass.doubtful()) <= 1
    worst = int(factors[:40, 0].argmax())
    compass.relabel(worst, False)
    assert compass.doubtful(1) == [worst]


def test_labels_foretell_each_other_better_than_dealt_ones():
    found = clicked(Compass(factor_world(300)[0]), 30).check(10)
    assert found.n == 30 and found.value > found.control
    lot = np.random.default_rng(0)
    noise = Compass(factor_world(300)[0])
    for i in range(30):
        noise.label(i, bool(lot.random() < 0.5))
    assert not noise.check(10).beats_control


def test_clicks_are_kept_and_resumed(tmp_path):
    compass = clicked(Compass(pool(), seed=3), 9)
    compass.accept()
    path = compass.save(tmp_path / "deep" / "clicks.json")
    again = resumed(pool(), path)
    assert again.clicks == compass.clicks and again.accepted
    assert torch.equal(again.direction().lines, compass.direction().lines)
    assert clicked(again, 5).clicks == clicked(compass, 5).clicks, "it goes on as if never stopped"
    assert len(json.loads(path.read_text())["clicks"]) == 9
    assert [p.name for p in path.parent.iterdir()] == ["clicks.json"]


def test_clicks_on_another_pool_are_refused(tmp_path):
    path = clicked(Compass(pool()), 4).save(tmp_path / "c.json")
    with pytest.raises(Refused, match="holds clicks on another pool of pictures"):
        resumed(pool(61), path)
    path.write_text('{"by": "gain"')
    with pytest.raises(Refused, match="holds no clicks that legenda can read"):
        resumed(pool(), path)
    with pytest.raises(Missing, match="is not there. Begin a compass, and save it there.$"):
        resumed(pool(), tmp_path / "none.json")


# ------------------------------------------------------------------------ planted truth


@cache
def planted():
    """Clicks of a person who is wrong one time in ten, by seed, for each way to choose."""
    acts, factors = factor_world()
    half = len(acts) // 3
    return {
        by: [
            guided(acts[:half], factors[:half], acts[half:], factors[half:], 0, by, s)
            for s in SEEDS
        ]  # fmt: skip # noqa: E501
        for by in ("gain", "random")
    }


def test_forty_clicks_find_a_planted_factor_and_little_else():
    found = planted()["gain"]
    assert median(curve[-1] for curve, _ in found) >= 0.8
    assert sum(curve[-1] >= 0.8 for curve, _ in found) >= 9
    assert median(leak for _, leak in found) <= 0.3


def test_asking_what_is_unsure_needs_fewer_clicks_than_lots():
    clicks = {by: [needed(curve) for curve, _ in runs] for by, runs in planted().items()}
    assert fmean(clicks["gain"]) < 0.8 * fmean(clicks["random"])
    wins = sum(a < b for a, b in zip(clicks["gain"], clicks["random"], strict=True))
    losses = sum(a > b for a, b in zip(clicks["gain"], clicks["random"], strict=True))
    assert wins > losses


@pytest.mark.weights
@pytest.mark.skipif(not os.environ.get("LEGENDA_WEIGHTS"), reason="LEGENDA_WEIGHTS names no folder")
def test_forty_clicks_find_size_in_a_published_autoencoder():
    from legenda.models.opening import open_model
    from legenda.zoo.sprites.world import GREY, drawn

    folder = Path(os.environ["LEGENDA_WEIGHTS"]) / "disentangling-vae"
    model = open_model(str(folder / "btcvae_dsprites.safetensors"))
    sprites = drawn(GREY, 1500, 0, 64)
    factors = GREY.values(sprites.factors)
    with torch.no_grad():
        acts = torch.cat([model.acts(sprites.pixels(slice(i, i + 250))) for i in range(0, 1500, 250)])[:, 0]  # fmt: skip # noqa: E501
    runs = {
        by: [guided(acts[:500], factors[:500], acts[500:], factors[500:], 1, by, s) for s in SEEDS]
        for by in ("gain", "random")
    }
    assert min(curve[-1] for curve, _ in runs["gain"]) >= 0.8
    assert max(leak for _, leak in runs["gain"]) <= 0.3
    clicks = {by: fmean(needed(curve) for curve, _ in its) for by, its in runs.items()}
    assert clicks["gain"] < 0.8 * clicks["random"], clicks


@pytest.mark.weights
@pytest.mark.skipif(not os.environ.get("LEGENDA_WEIGHTS"), reason="LEGENDA_WEIGHTS names no folder")
def test_a_direction_of_two_shapes_reads_the_third():
    from legenda.models.opening import open_model
    from legenda.zoo.sprites.world import GREY, drawn

    folder = Path(os.environ["LEGENDA_WEIGHTS"]) / "disentangling-vae"
    model = open_model(str(folder / "btcvae_dsprites.safetensors"))
    sprites = drawn(GREY, 1500, 1, 64)
    factors = GREY.values(sprites.factors)
    with torch.no_grad():
        acts = torch.cat([model.acts(sprites.pixels(slice(i, i + 250))) for i in range(0, 1500, 250)])[:, 0]  # fmt: skip # noqa: E501
    seen, unseen = factors[:, 0] < 2, factors[:, 0] == 2
    compass, person = Compass(acts[torch.from_numpy(seen)]), Person(factors[seen, 1], 0.1, 0)
    for _ in range(40):
        picture = compass.next()
        compass.label(picture, person.says(picture))
    fresh = acts[torch.from_numpy(unseen)][:, None]
    read = compass.direction().encode(fresh).weight[:, 0, 0]
    assert correlation(read, factors[unseen, 1]) >= 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Compass(pool(), ridge=0.0),
            "Compass chooses by gain, margin, random, with a ridge above 0; it got 'gain' and 0.0.",
        ),
        (
            lambda: Compass(torch.ones(4, 3)),
            "Compass needs finite activations of two pictures or more that differ; it got (4, 3). "
            "Give more pictures.",
        ),
        (
            lambda: Compass(pool()).direction(),
            "Compass needs a yes and a no before it can point; it has 0 labels, all alike. Label "
            "more pictures.",
        ),
        (
            lambda: Compass(pool()).label(60, True),
            "Compass has pictures 0 to 59; there is no 60.",
        ),
        (lambda: Compass(pool()).relabel(2, True), "picture 2 has no label yet. Use `label`."),
        (
            lambda: [c := Compass(pool()), c.label(2, True), c.label(2, True)],
            "picture 2 is labelled yes already. Use `relabel` to change it.",
        ),
        (
            lambda: clicked(Compass(pool(5)), 6),
            "all 5 pictures of the compass are labelled. Take its direction, or give a larger "
            "pool.",
        ),
    ],
)
def test_what_it_refuses(call, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        call()
