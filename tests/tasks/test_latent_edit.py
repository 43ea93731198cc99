import pytest
import torch

from legenda.core.attribute import ATTRIBUTES
from legenda.errors import BadInput
from legenda.measure.picture import measure
from legenda.tasks import latent_edit
from legenda.tasks.latent_edit import (
    CONTROLS,
    DOSES,
    LatentStep,
    by_lot,
    compared,
    followed,
    moved,
    shown,
)
from tests.explain.decoders import SIDE, spatial, vector
from tests.explain.decoders import pictures as small_pictures
from tests.tasks.latent_world import ACROSS, DOWN, HUE, NOTHING, discs, pictures

NAMES = tuple(ATTRIBUTES)
MODEL, POOL = discs().model, pictures()


def edited(*steps, x=None, seed=0):
    return moved(MODEL, pictures()[:1] if x is None else x, steps, seed, POOL)


def change(found, attribute):
    return next(c for c in found.changes if c.attribute == attribute)


@pytest.mark.parametrize("units", [vector, spatial])
def test_strength_0_is_the_clean_run_bit_for_bit(units):
    model, x = units().model, small_pictures(1)
    found = moved(model, x, [LatentStep(1, 2.0)], 0, small_pictures(16))
    clean = model.visible(model.run(x).output)
    assert found.strengths[0] == 0 and found.doses[:1].equal(clean)
    assert not found.doses[1].equal(clean[0]) and found.doses.shape == (DOSES, 3, SIDE, SIDE)
    assert found.original.equal(model.visible(x))


def test_the_last_dose_is_what_was_asked_for():
    found = edited(LatentStep(ACROSS, 1.5), LatentStep(DOWN, -1.0, add=True))
    z = MODEL.acts(pictures()[:1])
    wanted = z.clone()
    wanted[..., ACROSS] = 1.5
    wanted[..., DOWN] -= 1.0
    assert found.latents[0].equal(z[0, 0]) and found.latents[1].equal(wanted[0, 0])
    assert torch.allclose(found.doses[-1:], shown(MODEL, wanted), atol=1e-6)
    half = shown(MODEL, z + 0.5 * (wanted - z))
    assert torch.allclose(found.doses[DOSES // 2 : DOSES // 2 + 1], half, atol=1e-6)
    assert found.edit == "set 0=+1.5, then steer 7=-1"


def test_what_was_planted_changes_most_and_more_than_by_lot():
    found = edited(LatentStep(ACROSS, -2.5, add=True))
    first = found.changes[0]
    assert first.attribute == "x" and first.spreads < -0.5
    assert first.above > 0.7 * CONTROLS and first.control < -first.spreads
    sizes = [abs(c.spreads) for c in found.changes]
    assert sizes == sorted(sizes, reverse=True) and found.controls == CONTROLS
    back = edited(LatentStep(ACROSS, 2.5, add=True), x=found.doses[-1:]).changes[0]
    assert back.attribute == "x" and back.spreads == pytest.approx(-first.spreads, rel=0.05)


def test_numbers_can_be_measured_again():
    found = edited(LatentStep(ACROSS, 1.0))
    values = measure(found.doses[[0, -1]])
    for one in found.changes:
        a = NAMES.index(one.attribute)
        assert (one.before, one.after) == (values[0, a], values[1, a])


@pytest.mark.parametrize("step", [LatentStep(NOTHING, 3.0), LatentStep(ACROSS, 0.0, add=True)])
def test_what_does_nothing_changes_nothing(step):
    found = edited(step)
    assert torch.allclose(found.doses, found.doses[:1].expand_as(found.doses), atol=1e-6)
    assert max(abs(c.spreads) for c in found.changes) < 1e-3


def test_hues_change_the_short_way_round():
    """From 350 to 10 degrees is 20, not -340."""
    turn = torch.tensor([350.0, 10.0]).deg2rad()
    vivid = torch.stack([2 / 3 * turn.cos(), -turn.cos() / 3 + turn.sin() / 3**0.5, -turn.cos() / 3 - turn.sin() / 3**0.5], 1)  # fmt: skip # noqa: E501
    images = torch.full((2, 3, 32, 32), 0.1)
    images[:, :, 10:22, 10:22] = (0.5 + 0.5 * vivid)[:, :, None, None].clamp(0, 1)
    values = measure(images)[:, NAMES.index("hue")].tolist()
    assert 340 < values[0] < 360 and 0 < values[1] < 20
    found = compared(images, images[:1], torch.ones(len(NAMES)).double())
    one = next(c for c in found if c.attribute == "hue")
    assert one.spreads == pytest.approx(values[1] - values[0] + 360) and 0 < one.spreads < 40
    assert (one.control, one.above) == (0.0, 1)


def test_controls_are_as_long_as_the_edit():
    before = MODEL.acts(pictures()[:1])
    after = followed(before, [LatentStep(HUE, 2.0, add=True), LatentStep(DOWN, 1.0, add=True)])
    found = by_lot(before, after, torch.Generator().manual_seed(3))
    assert len(found) == CONTROLS
    assert torch.allclose((found - before).flatten(1).norm(dim=1), torch.full((CONTROLS,), 5**0.5))
    apart = torch.nn.functional.normalize((found - before).flatten(1), dim=1)
    assert (apart @ apart.T).fill_diagonal_(0).abs().max() < 0.999


def test_steps_follow_each_other_and_leave_what_they_were_given():
    acts = torch.arange(8.0).view(1, 1, 8)
    steps = [LatentStep(2, 5.0), LatentStep(2, 1.5, add=True), LatentStep(0, -1.0)]
    assert followed(acts, steps)[0, 0].tolist() == [-1, 1, 6.5, 3, 4, 5, 6, 7]
    assert acts[0, 0].tolist() == list(range(8))


def test_same_seed_same_bits_another_seed_other_controls():
    step = LatentStep(ACROSS, 1.0)
    one, two, other = edited(step), edited(step), edited(step, seed=1)
    assert one.changes == two.changes and one.doses.equal(two.doses)
    assert [c.spreads for c in one.changes] == [c.spreads for c in other.changes]
    assert [c.control for c in one.changes] != [c.control for c in other.changes]


def test_without_pictures_the_prior_says_how_much_attributes_vary(monkeypatch):
    monkeypatch.setattr(latent_edit, "POOL", 32)
    x, step = pictures()[:1], [LatentStep(ACROSS, 1.0)]
    one, two = (change(moved(MODEL, x, step, 0), "x") for _ in range(2))
    assert one == two and one.spreads == pytest.approx(change(edited(*step), "x").spreads, rel=0.5)


def test_nothing_is_left_in_the_model():
    lots = torch.get_rng_state()
    found = edited(LatentStep(ACROSS, 1.0))
    assert not found.doses.requires_grad and torch.is_grad_enabled()
    assert all(p.grad is None for p in MODEL.root.parameters()) and not MODEL.root.training
    assert torch.get_rng_state().equal(lots)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), "an edit of latents needs --set UNIT=VALUE or --steer UNIT=VALUE; got none."),
        ((LatentStep(8, 1.0),), "latent 8 is not in discs, which has 8. Choose one from 0 to 7."),
        ((LatentStep(-1, 1.0),), "latent -1 is not in discs, which has 8. Choose one from 0 to 7."),
        (
            (LatentStep(0, float("nan")),),
            "a latent is set to a finite number; got nan. Give a number.",
        ),  # fmt: skip # noqa: E501
        (
            (LatentStep(0, float("-inf"), add=True),),
            "a latent is set to a finite number; got -inf. Give a number.",
        ),  # fmt: skip # noqa: E501
    ],
)
def test_bad_steps_are_refused(steps, text):
    with pytest.raises(BadInput) as error:
        edited(*steps)
    assert str(error.value) == text


def test_more_than_one_picture_is_refused():
    with pytest.raises(BadInput) as error:
        edited(LatentStep(0, 1.0), x=pictures()[:2])
    assert str(error.value) == "an edit of latents is of one picture; it got 2. Give them in turn."
