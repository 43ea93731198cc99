"""Steering frames against the edits of `intervene`, their laws, and the clean picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.errors import BadInput, Unsupported
from legenda.explain.steering_frames import SteeringFrames, TokenDoses, suited
from legenda.explain.traversal import Traversal
from legenda.intervene.edits import steer
from tests.contracts import check_explainer
from tests.explain.decoders import pictures, sparse, spatial, tokens, vector
from tests.toys import ToyEncoder


def steered(kind):
    return {"sparse": lambda: sparse(spatial()), "on tokens": lambda: sparse(tokens())}[kind]()


@pytest.mark.parametrize("kind", ["sparse", "on tokens"])
def test_steering_is_its_equation(kind):
    units, x = steered(kind), pictures(5)
    pool = units.model.acts(x)
    rows, how = pool[:2], SteeringFrames(5, 0.8)
    found = how.many(units, rows, [3, 0], batch=3, pool=pool)
    dense = units.codes(x).dense()
    for sheet, index in zip(found, (3, 0), strict=True):
        on = dense[..., index][dense[..., index] > 0].double().numpy()
        values = [0.0, *np.quantile(on, [0.1, 0.1 + 0.8 / 3, 0.1 + 1.6 / 3, 0.9])]
        np.testing.assert_allclose(sheet.values, values, atol=1e-12)
        for r, row in enumerate(rows):
            for s, value in enumerate(values):
                slow = units.model.decode(units.lift(steer(index, float(value)))(row[None]))
                wanted = units.model.visible(slow)[0]
                torch.testing.assert_close(sheet.images[r, s], wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["sparse", "on tokens", "tokens"])
def test_the_first_step_is_the_clean_picture_bit_for_bit(kind):
    units = tokens() if kind == "tokens" else steered(kind)
    how = TokenDoses(4) if kind == "tokens" else SteeringFrames(4)
    rows = units.model.acts(pictures(3))
    clean = units.model.visible(units.model.decode(rows))
    for sheet in how.many(units, rows, [2, 5], batch=2):
        assert sheet.values[0] == 0 and torch.equal(sheet.images[:, 0], clean)
        assert sheet.effect().min() > 0


def test_more_strength_takes_the_picture_farther():
    units = sparse(spatial())
    rows = units.model.acts(pictures(3))
    sheet = SteeringFrames(strengths=(0.0, 0.1, 0.2, 0.4)).many(units, rows, [1])[0]
    away = (sheet.images - sheet.images[:, :1]).pow(2).mean((2, 3, 4))
    assert (away.diff(dim=1) > 0).all()


def test_a_unit_may_be_steered_at_some_positions_only():
    units = sparse(spatial())
    rows = units.model.acts(pictures(2))
    where = torch.zeros(2, 16, dtype=torch.bool)
    where[:, 5] = True  # its cell is rows 4 to 7 and columns 4 to 7
    (sheet,) = SteeringFrames(strengths=(0.0, 1.0)).many(units, rows, [1], where=where)
    change = (sheet.images[:, 1] - sheet.images[:, 0]).abs().amax(1)
    assert change[:, 4:8, 4:8].amax() > 0.01
    change[:, 4:8, 4:8] = 0
    assert change.max() < 1e-6


# --------------------------------------------------------------------------------------- doses


def test_doses_are_their_equation():
    units, x = tokens(), pictures(3)
    rows, how = units.model.acts(x), TokenDoses(4, 0.6, seed=2)
    found = how.many(units, rows, [7, 1], batch=5)
    for sheet, token in zip(found, (7, 1), strict=True):
        assert sheet.values.tolist() == pytest.approx([0, 0.2, 0.4, 0.6])
        for r in range(3):
            order = np.argsort(np.random.default_rng((2, r)).permutation(16))
            for s, share in enumerate(sheet.values.tolist()):
                ids = units.model.tokens(x)[r].clone()
                ids[torch.from_numpy(order[: round(share * 16)])] = token
                slow = units.model.visible(units.model.decode(units.model.embed(ids[None])))
                torch.testing.assert_close(sheet.images[r, s], slow[0], rtol=0, atol=2e-6)


def test_each_dose_holds_all_that_the_last_one_held():
    units, x = tokens(), pictures(2)
    rows = units.model.acts(x)
    seen = []

    def watched(network, z):
        seen.append(units.model.codebook.nearest(z.flatten(2).mT)[0])
        return network.decode(z)

    model = replace(units.model, unquantise=watched)
    doses = (0.0, 0.1, 0.3, 0.5, 1.0)
    TokenDoses(doses=doses).many(Units(model, units.dictionary), rows, [4])
    held = torch.cat(seen[1:]).unflatten(0, (2, 4)) == 4
    assert (held[:, 1:] | ~held[:, :-1]).all()
    before = (units.model.tokens(x) == 4).float().mean(1)
    share = held.float().mean(2)
    assert (share.diff(dim=1) >= 0).all() and (share[:, -1] == 1).all()
    assert torch.all(share[:, 2] >= 0.5) and torch.all(share[:, 2] <= 0.5 + before)


def test_all_pictures_of_the_last_dose_are_one_where_the_token_is_everywhere():
    units = tokens()
    sheet = TokenDoses(doses=(0.0, 0.5, 1.0))(units, pictures(3), units[4])
    assert torch.allclose(sheet.images[:, -1], sheet.images[:1, -1], atol=1e-6)
    assert not torch.allclose(sheet.images[0, 1], sheet.images[1, 1], atol=1e-2)


def test_the_order_of_positions_is_drawn_by_seed_and_row():
    ranks = TokenDoses(seed=1).ranks(4, 16)
    assert torch.equal(TokenDoses(seed=1).ranks(2, 16), ranks[:2])
    assert not torch.equal(TokenDoses(seed=2).ranks(4, 16), ranks)
    assert not torch.equal(ranks[0], ranks[1])
    assert torch.equal(ranks.sort(1).values, torch.arange(16).expand(4, -1))


# ------------------------------------------------------------------------------------- in general


def test_every_kind_of_unit_is_moved_by_what_suits_it():
    acts = {u: u().model.acts(pictures(3)) for u in (vector, spatial, tokens)}
    assert suited(vector(), acts[vector]) == Traversal()
    assert suited(spatial(), acts[spatial]) == Traversal(quantiles_of="codes")
    assert suited(tokens(), acts[tokens]) == TokenDoses()
    assert suited(sparse(tokens()), acts[tokens]) == SteeringFrames()
    signed = sparse(spatial(), signed=True)
    assert suited(signed, acts[spatial]) == Traversal(quantiles_of="codes")


def test_they_are_explainers():
    check_explainer(SteeringFrames(4), sparse(spatial()), pictures(), sparse(spatial())[3])
    check_explainer(TokenDoses(4, seed=3), tokens(), pictures(), tokens()[3])


def refused(kind, act):
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


def test_what_makes_no_sense_is_refused():
    plain = Units(ToyEncoder(), Identity(6))
    rows, instead = torch.zeros(1, 16, 5), "For encoders use Exemplars, or `legenda survey`."
    for how in (SteeringFrames(), TokenDoses()):
        who = type(how).__name__
        assert refused(Unsupported, lambda h=how: h.many(plain, rows, [1])) == (
            f"{who} needs a model with `decode`; toy-encoder has none. {instead}"
        )
    assert refused(BadInput, lambda: SteeringFrames().many(tokens(), rows, [1])) == (
        "SteeringFrames adds strength to a unit; a token of tokens/codebook is on or off. Use "
        "TokenDoses."
    )
    assert refused(Unsupported, lambda: TokenDoses().many(sparse(tokens()), rows, [1])) == (
        "TokenDoses needs units of a codebook; tokens/sparse has none. Use SteeringFrames, or "
        "Traversal for latents."
    )
    assert refused(BadInput, lambda: TokenDoses().many(tokens(), rows, [12])) == (
        "unit 12 is not in tokens/codebook, which has 12 units, numbered from 0. Choose one of "
        "them."
    )
    silent = spatial().model.acts(pictures(2)).abs().neg()
    assert refused(BadInput, lambda: SteeringFrames().many(spatial(), silent, [1])) == (
        "SteeringFrames takes strengths from positive codes; unit 1 of grid/channels has none in 2 "
        "pictures. Give strengths, or more pictures."
    )


def test_settings_that_make_no_sense_are_refused():
    assert refused(BadInput, lambda: SteeringFrames(2)) == (
        "SteeringFrames needs 3 frames or more, and a span between 0 and 1; it got frames=2, "
        "span=0.95."
    )
    assert refused(BadInput, lambda: TokenDoses(most=1.5)) == (
        "TokenDoses needs 2 frames or more, and a last share above 0, up to 1; it got frames=8, "
        "most=1.5."
    )
    assert refused(BadInput, lambda: TokenDoses(doses=(0.0, 1.5))) == (
        "TokenDoses are shares of positions, up to 1; it got (0.0, 1.5)."
    )
    assert refused(BadInput, lambda: TokenDoses(doses=())) == (
        "TokenDoses needs 2 values or more that rise; it got ()."
    )
    assert refused(BadInput, lambda: SteeringFrames(strengths=(0.5, 1.0))) == (
        "SteeringFrames begins with the clean picture, at 0; it got (0.5, 1.0)."
    )
