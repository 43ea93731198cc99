"""Directions of a diffusion model: found, walked, named where they are clear, and beside others."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch

from legenda.errors import BadInput
from legenda.measure.picture import measure
from legenda.tasks import latent_nulls
from legenda.tasks.latent_frames import Frames, Traversals
from legenda.tasks.latent_ground import cost
from legenda.tasks.latent_walks import STEPS, WALKS, Walks, directions_of, walks
from legenda.tasks.latents import study
from tests.tasks.latent_world import ACROSS, DOWN, GROUND, HUE, SIZE, discs
from tests.tasks.walk_world import ORDER, painter, planted

HOW = replace(WALKS, rows=4, fresh=3, pool=48, frames=6)
QUICK = replace(HOW, rows=3, fresh=2, pool=24, frames=4)


@pytest.fixture(autouse=True)
def few_controls(monkeypatch):
    monkeypatch.setattr(latent_nulls, "enough", lambda alpha: 48)


@cache
def found():
    return walks(painter(), 5, seeds=4)


@cache
def studied():
    return study(directions_of(found()), HOW, source=found())


def sign_of(k):
    """Whether a direction points along its way, or against it."""
    way = painter().root.ways[ORDER[k]]
    return int(torch.sign(found().basis.directions[0, k].flatten() @ way))


# planted truth


def test_the_directions_are_the_planted_ways_strongest_first():
    basis, root = found().basis, painter().root
    for k in range(5):
        along = float(basis.directions[0, k].flatten() @ root.ways[ORDER[k]])
        assert abs(along) > 0.999
        assert float(basis.strengths[0, k]) == pytest.approx(float(root.strength[ORDER[k]]), rel=1e-3)  # fmt: skip # noqa: E501
    assert basis.converged


@pytest.mark.parametrize(("way", "attribute"), [(DOWN, "y"), (ACROSS, "x"), (SIZE, "size")])
def test_what_a_direction_does_is_named_and_checked(way, attribute):
    k = ORDER.index(way)
    story = studied().units[k]
    assert (story.verdict, story.label, story.nats) == ("named", f"direction {k}", None)
    assert (story.answer.attribute, story.answer.direction) == (attribute, sign_of(k))
    assert story.checked.holds and story.checked.moved > 0.7
    assert len(story.answers) == HOW.rows


def test_a_direction_that_does_two_things_is_not_named():
    ways = painter().root.ways
    mixed = torch.nn.functional.normalize(ways[HUE] + ways[GROUND], dim=0)
    basis = found().basis
    basis = replace(
        basis, directions=mixed.view(1, 1, 3, 32, 32), strengths=basis.strengths[:, :1],
        residuals=basis.residuals[:, :1],
    )  # fmt: skip
    source = replace(found(), basis=basis)
    (story,) = study(directions_of(source), HOW, source=source).units
    assert story.verdict == "abstained" and story.checked is None
    for answer in story.answers:
        moving = {fact.attribute for fact in answer.facts}
        assert {"hue", "background"} <= moving


def test_directions_by_lot_are_told_beside_and_named_less():
    told = studied().walked
    own = sum(u.effect for u in studied().units) / 5
    assert [(lot.kind, lot.count) for lot in told.lots] == [("random", 5), ("smooth", 5)]
    for lot in told.lots:
        assert lot.named == 0 and lot.effect < 0.3 * own
        assert lot.interval[0] <= lot.effect <= lot.interval[1]
    assert sum(u.verdict == "named" for u in studied().units) >= 3


def test_directions_by_lot_are_named_where_they_are_clear():
    """Were the model's own directions drawn as the lot, they would be named alike."""
    source, sheets = found(), []

    class Own(Walks):
        def by_lot(self, how, x):
            for sheet in self.sheets(range(3), how, self.ground(how, x), x):
                sheets.append(sheet)
                yield "random", sheet

    own = Own(source.model, source.basis, source.seeds)
    (lot,) = study(directions_of(own), HOW, source=own, only=[0]).walked.lots
    assert (lot.named, lot.count, len(sheets)) == (3, 3, 3)
    assert lot.effect == pytest.approx(sum(float(s.effect().double().mean()) for s in sheets) / 3)


# frames


def test_a_sheet_is_its_equation_row_by_row():
    source, model = found(), found().model
    ground = source.ground(QUICK, None)
    (sheet,) = source.sheets([1], QUICK, ground, None)
    x = model.noise(5, QUICK.seed)
    v = source.basis.directions[0, 1]
    assert sheet.images.shape == (3, 4, 3, 32, 32) and sheet.index == 1
    for r in range(3):  # the literal twin
        for s, c in enumerate((-3.0, -1.0, 1.0, 3.0)):
            gone = x[r] + c * v
            state = x[r].norm() * gone / gone.norm()
            seen = model.visible(model.sample(state[None]))[0]
            assert torch.allclose(sheet.images[r, s], seen, atol=1e-5)


def test_no_noise_serves_twice():
    source, how = found(), QUICK
    rows, fresh = (source.rows(how, None, fresh) for fresh in (False, True))
    pool = source.ground(how, None).pool.unflatten(2, (3, 32, 32))[:, 0]
    felt = painter().noise(4, how.seed + 2)
    every = torch.cat([rows, fresh, pool, felt]).flatten(1)
    assert len(rows) == 3 and len(fresh) == 2
    assert len(every.unique(dim=0)) == len(every)


def test_the_ground_measures_samples_or_the_pictures_themselves():
    source, x = found(), painter().sample(painter().noise(20, 9))
    drawn, given = source.ground(QUICK, None), source.ground(QUICK, x)
    samples = painter().visible(painter().sample(painter().noise(QUICK.pool, QUICK.seed + 1)))
    assert torch.allclose(drawn.values, measure(samples), equal_nan=True, atol=1e-5)
    assert torch.allclose(given.values, measure(painter().visible(x)), equal_nan=True, atol=1e-5)
    assert drawn.nats is None and source.alive([0, 3], QUICK, drawn) == [0, 3]


def test_rows_begin_at_pictures_that_are_inverted():
    source, x = found(), painter().sample(painter().noise(20, 9))
    assert torch.allclose(source.rows(QUICK, x), painter().invert(x[:3]), atol=1e-5)
    assert torch.allclose(source.rows(QUICK, x, fresh=True), painter().invert(x[3:5]), atol=1e-5)
    assert (source.began(x), source.began(None)) == ("pictures, inverted", "seeds of noise")
    story = study(directions_of(source), QUICK, source=source, x=x, only=[0])
    assert story.anchors == "pictures, inverted" and story.units[0].sheet is not None


def test_no_directions_no_sheets():
    assert list(found().sheets([], QUICK, found().ground(QUICK, None), None)) == []


# laws


def told(story):
    return (
        story.label, story.verdict, story.reason, story.answer, story.answers, story.certainty,
        story.effect, story.effect_interval,
    )  # fmt: skip


def test_same_seed_same_bits_another_seed_others():
    def one(seed):
        source, how = walks(painter(), 3, seed, seeds=3), replace(QUICK, seed=seed)
        return study(directions_of(source), how, source=source)

    first, again, other = one(4), one(4), one(5)
    assert list(map(told, first.units)) == list(map(told, again.units))
    assert first.walked == again.walked
    assert first.units[0].sheet.images.equal(again.units[0].sheet.images)
    assert not first.units[0].sheet.images.equal(other.units[0].sheet.images)


def test_a_direction_alone_is_told_as_among_all_and_in_any_batch():
    (alone,) = study(directions_of(found()), HOW, source=found(), only=[1]).units
    assert told(alone) == told(studied().units[1])
    small = replace(found(), batch=5)
    (sheet,) = small.sheets([1], HOW, small.ground(HOW, None), None)
    assert torch.allclose(sheet.images[:4], alone.sheet.images, atol=1e-5)


def test_nothing_is_left_in_the_model():
    model, lots = planted(), torch.get_rng_state()
    before = {k: v.clone() for k, v in model.root.state_dict().items()}
    source = walks(model, 2, seeds=2)
    study(directions_of(source), QUICK, source=source)
    assert all(p.grad is None for p in model.root.parameters()) and torch.is_grad_enabled()
    assert all(v.equal(before[k]) for k, v in model.root.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.root.modules())
    assert torch.get_rng_state().equal(lots)


def test_a_study_counts_its_walks():
    heard = []
    study(directions_of(found()), QUICK, source=found(), only=[0, 2], report=lambda *a: heard.append(a))  # fmt: skip # noqa: E501
    assert heard[:3] == [
        ("looking at pictures of the model", 0, 2), ("asking about unit 0", 1, 2),
        ("asking about unit 2", 2, 2),
    ]  # fmt: skip
    assert heard[3] == ("asking about random directions", 1, 10)
    assert heard[-1] == ("asking about smooth directions", 10, 10)
    units, asks = directions_of(found()), SimpleNamespace(lmm=None)
    rows = 2 * (QUICK.rows + QUICK.fresh) + 10 * QUICK.rows
    assert cost(units, QUICK, asks, None, [0, 2], found())["frames"] == rows * QUICK.frames


def test_both_sources_are_frames():
    assert isinstance(found(), Frames) and isinstance(Traversals(discs()), Frames)
    assert Traversals(discs()).lots == 0 and Traversals(discs()).walked(()) is None


# the record


def test_the_record_says_how_directions_were_found():
    record = studied()
    assert (record.model, record.anchors) == ("planted", "seeds of noise")
    told = record.walked
    assert (told.site, told.time, told.seeds, told.converged) == ("mid_block", 1.0, 4, True)
    assert len(told.strengths) == 5 and sorted(told.strengths, reverse=True) == list(told.strengths)
    settings = record.settings
    assert {"span", "values", "least_nats", "move"}.isdisjoint(settings)
    assert (settings["directions"], settings["steps"], settings["reach"]) == ("5", "1", "3")
    assert (settings["site"], settings["time"], settings["direction_seeds"]) == ("mid_block", "1", "4")  # fmt: skip # noqa: E501


def test_a_model_of_many_steps_takes_fewer_and_never_too_few():
    long = replace(planted(), noising=replace(painter().noising, alphas=torch.linspace(0.9, 0.01, 100)))  # fmt: skip # noqa: E501
    assert walks(replace(long, steps=50), 1, seeds=1).model.steps == STEPS
    assert walks(replace(long, steps=50, time=0.03), 1, seeds=1).model.steps == 34
    assert walks(replace(long, steps=5), 1, seeds=1).model.steps == 5


def test_directions_are_units_of_x():
    units = directions_of(found())
    assert len(units) == 5 and units.address == "planted/directions"
    assert torch.equal(units.dictionary.atoms, found().basis.directions[0].flatten(1))


# what is refused


def test_too_few_pictures_are_refused():
    x = painter().sample(painter().noise(15, 9))
    with pytest.raises(BadInput) as error:
        found().ground(QUICK, x)
    assert str(error.value) == (
        "a study of latents needs 16 pictures, for 5 rows and for what pictures have in common; it "
        "got 15. Give more pictures, or ask for fewer rows, down to 16."
    )


def test_directions_that_are_not_there_are_refused():
    with pytest.raises(BadInput) as error:
        study(directions_of(found()), QUICK, source=found(), only=[5])
    assert str(error.value) == (
        "unit 5 is not in planted/directions, which has 5 units, numbered from 0. Choose one of "
        "them."
    )
