from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from legenda.core.attribute import ATTRIBUTES
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.errors import BadInput, Unsupported
from legenda.explain.steering_frames import SteeringFrames, TokenDoses
from legenda.explain.traversal import Traversal
from legenda.measure.picture import measure
from legenda.measure.spread import spread
from legenda.tasks.latent_ground import alive, cost, grounded, moved_by, mover, sheets, silent
from legenda.tasks.latent_settings import LatentSettings
from tests.explain.decoders import pictures as small_pictures
from tests.explain.decoders import sparse, spatial, tokens
from tests.tasks.latent_world import ACROSS, NOTHING, SMALL, STILL, discs, pictures
from tests.toys import ToyEncoder

HOW = replace(LatentSettings(**SMALL), pool=32, rows=4, fresh=3, frames=4)


def ways(signed=True):
    return Units(discs().model, LinearDictionary(torch.eye(8), torch.zeros(8), Projection(8, signed), "ways"))  # fmt: skip # noqa: E501


def test_pictures_of_the_model_are_measured():
    ground = grounded(discs(), HOW, None)
    seen = discs().model.visible(discs().model.decode(ground.pool))
    assert ground.pool.shape == (32, 1, 8)
    assert torch.allclose(ground.values, measure(seen), equal_nan=True)
    assert ground.measured.spread.allclose(spread(ground.values), equal_nan=True)
    assert ground.measured.per_look == 1
    assert grounded(discs(), replace(HOW, per_look=2), None).measured.per_look == 2


def test_nats_are_those_of_the_pictures():
    drawn, given = grounded(discs(), HOW, None), grounded(discs(), HOW, pictures())
    for ground, x in ((drawn, discs().model.decode(drawn.pool)), (given, pictures()[:32])):
        slow = discs().model.posterior(x).nats().sum(1).mean(0)
        assert torch.allclose(ground.nats.float(), slow, atol=1e-4)
    assert given.pool.equal(discs().model.acts(pictures()[:32]))


def test_units_of_other_dictionaries_have_no_nats_however_many_they_are():
    assert len(ways()) == discs().model.width
    assert grounded(ways(), HOW, None).nats is None
    assert grounded(sparse(discs(), width=8), HOW, None).nats is None
    assert grounded(tokens(), HOW, small_pictures(16)).nats is None


def test_only_units_that_say_something_are_moved():
    ground = grounded(discs(), HOW, None)
    assert alive(discs(), range(8), HOW, ground) == [i for i in range(8) if i != NOTHING]
    assert alive(discs(), [STILL, ACROSS], HOW, ground) == [STILL, ACROSS]
    assert alive(discs(), range(8), replace(HOW, least_nats=50.0), ground) == []


def test_units_that_are_never_on_are_not_moved():
    atoms = torch.cat([torch.eye(8), torch.zeros(1, 8)])
    units = Units(discs().model, LinearDictionary(atoms, torch.zeros(8), Projection(3, False), "s"))
    ground = grounded(units, HOW, None)
    on = units.dictionary.encode(ground.pool).pooled() > 0
    assert silent(units, range(9), ground.pool) == {i for i in range(9) if not on[:, i].any()}
    assert 8 in silent(units, range(9), ground.pool)
    assert 8 not in alive(units, range(9), HOW, ground)
    assert silent(discs(), range(8), ground.pool) == set()


def test_fresh_rows_are_others_and_all_else_is_untouched():
    ground = grounded(discs(), HOW, None)
    (shown,) = sheets(discs(), [ACROSS], HOW, ground, None)
    (fresh,) = sheets(discs(), [ACROSS], HOW, ground, None, fresh=True)
    assert (len(shown), len(fresh)) == (HOW.rows, HOW.fresh)
    for row in fresh.images:
        assert not any(row[0].equal(other[0]) for other in shown.images)
    code = discs().model.acts(shown.images.flatten(0, 1)).unflatten(0, (4, 4))[:, :, 0]
    others = [i for i in range(8) if i != ACROSS]
    assert torch.allclose(code[:, :, others], code[:, :1, others].expand(-1, 4, -1), atol=2e-3)
    assert torch.allclose(code[:, :, ACROSS], shown.values.float().expand(4, -1), atol=2e-3)


def test_sheets_begin_at_the_pictures_that_are_given():
    ground = grounded(discs(), HOW, pictures())
    shown, fresh = (next(iter(sheets(discs(), [STILL], HOW, ground, pictures(), fresh=f))) for f in (False, True))  # fmt: skip # noqa: E501
    assert torch.allclose(shown.images[:, 0], pictures()[:4], atol=5e-3)
    assert torch.allclose(fresh.images[:, 0], pictures()[4:7], atol=5e-3)


def test_no_units_no_sheets():
    assert list(sheets(discs(), [], HOW, grounded(discs(), HOW, None), None)) == []


def test_each_kind_of_unit_has_its_mover():
    pool = grounded(discs(), HOW, None).pool
    how = replace(HOW, values=(-1.0, 0.0, 1.0, 2.0))
    assert mover(discs(), how, pool) == Traversal(4, 0.95, (-1.0, 0.0, 1.0, 2.0), "prior")
    assert mover(ways(), HOW, pool) == Traversal(4, 0.95, None, "codes")
    assert mover(ways(signed=False), HOW, pool) == SteeringFrames(4, 0.95)
    assert isinstance(mover(tokens(), HOW, grounded(tokens(), HOW, small_pictures(16)).pool), TokenDoses)  # fmt: skip # noqa: E501


def test_on_a_grid_units_are_added_and_elsewhere_set_unless_it_is_said():
    pool, maps = grounded(discs(), HOW, None).pool, grounded(spatial(), HOW, small_pictures(16))
    added = Traversal(4, 0.95, None, "spread", "add")
    assert mover(spatial(), HOW, maps.pool) == added
    assert mover(spatial(), replace(HOW, move="set"), maps.pool) == Traversal(4, 0.95, None, "codes")  # fmt: skip # noqa: E501
    assert mover(discs(), replace(HOW, move="add"), pool) == added
    assert mover(ways(), replace(HOW, move="add"), pool) == added
    assert moved_by(spatial(), HOW, maps) == {"move": "add"}
    assert moved_by(discs(), HOW, grounded(discs(), HOW, None)) == {"move": "set"}


def test_sheets_on_a_grid_keep_what_the_anchors_have():
    how, x = replace(HOW, frames=5), small_pictures(16)
    ground = grounded(spatial(), how, x)
    model = spatial().model
    for move, kept in ((None, True), ("set", False)):
        (sheet,) = sheets(spatial(), [2], replace(how, move=move), ground, x)
        clean = model.visible(model.decode(model.acts(x[:4])))
        assert torch.allclose(sheet.images[:, 2], clean, atol=1e-6) is kept


def test_steps_that_are_given_are_those_of_every_kind_of_unit():
    how = replace(HOW, values=(0.0, 0.25, 0.5))
    pool, seen = grounded(discs(), HOW, None).pool, grounded(tokens(), HOW, small_pictures(16))
    assert mover(ways(signed=False), how, pool) == SteeringFrames(4, 0.95, how.values)
    assert mover(tokens(), how, seen.pool) == TokenDoses(4, doses=how.values, seed=0)
    (sheet,) = sheets(ways(signed=False), [ACROSS], how, grounded(ways(signed=False), how, None), None)  # fmt: skip # noqa: E501
    assert sheet.values.tolist() == [0, 0.25, 0.5] and sheet.images.shape[1] == 3
    assert moved_by(tokens(), how, seen) == {}


@pytest.mark.parametrize(
    ("units", "given", "text"),
    [
        (tokens, {"move": "add"}, "latents and directions are set or added; units of tokens/codebook are put into pictures that lack them. Leave move='add' out."),  # noqa: E501
        (tokens, {"values": (0.0, 0.5, 1.5)}, "TokenDoses are shares of positions, up to 1; it got (0.0, 0.5, 1.5)."),  # noqa: E501
        (lambda: ways(False), {"values": (-1.0, 0.0, 1.0)}, "SteeringFrames begins with the clean picture, at 0; it got (-1.0, 0.0, 1.0)."),  # noqa: E501
        (lambda: ways(False), {"move": "set"}, "latents and directions are set or added; units of discs/ways are put into pictures that lack them. Leave move='set' out."),  # noqa: E501
        (discs, {"values": (-1.0, 1.0)}, "a study of latents needs 3 steps or more, since two have no order but forth and back; values are (-1.0, 1.0). Give more."),  # noqa: E501
    ],
)  # fmt: skip
def test_ways_to_move_that_a_unit_has_not_are_refused(units, given, text):
    x = small_pictures(16) if units is tokens else None
    with pytest.raises(BadInput) as error:
        cost(units(), replace(HOW, **given), SimpleNamespace(lmm=None), x, None)
    assert str(error.value) == text


def test_cost_counts_what_a_study_would_take():
    asks = SimpleNamespace(lmm=None)
    found = cost(discs(), HOW, asks, None, None)
    assert found == {"units": 7, "frames": 7 * 7 * 4, "language_model": False}
    five = replace(HOW, values=(-2.0, -1.0, 0.0, 1.0, 2.0))
    assert cost(discs(), five, asks, None, [ACROSS, NOTHING])["frames"] == 7 * 5

    class Model:
        samples = 3

        def estimate(self, made):
            return SimpleNamespace(calls=3 * len(made), tokens=300 * len(made), stored=1)

    found = cost(discs(), HOW, SimpleNamespace(lmm=Model()), None, [ACROSS, STILL])
    assert (found["calls"], found["nulls"]) == (3 * (2 + HOW.nulls), HOW.nulls)
    assert found["tokens"] == 300 * (2 + HOW.nulls) and found["stored"] == 1
    assert found["at_most"] is False
    assert cost(discs(), replace(HOW, adaptive=True), SimpleNamespace(lmm=Model()), None, [ACROSS])["at_most"]  # fmt: skip # noqa: E501


@pytest.mark.parametrize(("rows", "fresh", "given"), [(24, 8, 31), (2, 2, 15)])
def test_too_few_pictures_are_refused(rows, fresh, given):
    need = max(rows + fresh, 16)
    with pytest.raises(BadInput) as error:
        grounded(discs(), replace(HOW, rows=rows, fresh=fresh), pictures()[:given])
    assert str(error.value) == (
        f"a study of latents needs {need} pictures, for {rows + fresh} rows and for what pictures "
        f"have in common; it got {given}. Give more pictures, or ask for fewer rows, down to 16."
    )
    grounded(discs(), replace(HOW, rows=rows, fresh=fresh), pictures()[:need])


def test_a_model_without_a_decoder_is_refused():
    with pytest.raises(Unsupported) as error:
        grounded(Units(ToyEncoder(), Identity(4, "latents")), HOW, None)
    assert str(error.value) == (
        "a study of latents needs a model that decodes; toy-encoder has none. Its units can be "
        "surveyed: see `legenda survey` and `legenda concepts`."
    )


def test_latents_on_a_grid_need_pictures():
    with pytest.raises(BadInput) as error:
        grounded(spatial(), HOW, None)
    assert str(error.value) == (
        "only the latents of one vector can be drawn from a prior; grid has others. Give pictures, "
        "x, and real=1."
    )
    assert grounded(spatial(), HOW, small_pictures(16)).values.shape == (16, len(ATTRIBUTES))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"frames": 3}, "frames of a study of latents must be 4 or more; got 3."),
        ({"rows": 5, "per_look": 3}, "rows of a study of latents must be 6 or more; got 5."),
        ({"fresh": 1}, "fresh of a study of latents must be 2 or more; got 1."),
        ({"pool": 15}, "pool of a study of latents must be 16 or more; got 15."),
        ({"nulls": -1}, "nulls of a study of latents must be 0 or more; got -1."),
        ({"span": 1.0}, "span and alpha of a study lie between 0 and 1; got 1.0 and 0.05."),
        ({"alpha": 0.0}, "span and alpha of a study lie between 0 and 1; got 0.95 and 0.0."),
        (
            {"threshold": 0.4, "conformal": True},
            "a study names by a threshold or by conformal p values, not by both; got "
            "threshold=0.4 and conformal. Leave one of them out.",
        ),  # noqa: E501
        ({"threshold": 1.2}, "a threshold of certainty lies from 0 to 1; got 1.2."),
    ],
)
def test_settings_that_cannot_be_are_refused(given, text):
    with pytest.raises(BadInput) as error:
        LatentSettings(**given)
    assert str(error.value) == text
