"""Walks: along the sphere, by the published guidance, and how often pictures are sampled."""

import pytest
import torch

from legenda.errors import BadInput
from legenda.explain.pullback import Pullback, random_basis
from legenda.explain.walk import PUBLISHED, Denoises, Guidance, Sphere, each, sheets
from tests.explain.denoisers import Bent, some


@pytest.fixture
def basis():
    return Pullback(3)(Bent(), some(2))


def test_on_the_sphere_x_stays_as_long_as_it_is(basis):
    x = some(2)
    v = basis.directions[:, 0].expand_as(x)
    walk = Sphere(5, 2.0)
    states = walk.states(Bent(), x, v)
    assert walk.values.tolist() == [-2, -1, 0, 1, 2]
    torch.testing.assert_close(states.flatten(2).norm(dim=2), x.flatten(1).norm(dim=1)[:, None].expand(2, 5))  # fmt: skip # noqa: E501
    for r in range(2):  # the literal twin
        for s, c in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
            gone = x[r] + c * v[r]
            torch.testing.assert_close(states[r, s], x[r].norm() * gone / gone.norm())
    along = (states * v[:, None]).sum((2, 3, 4))
    assert (along.diff(dim=1) > 0).all()


@pytest.mark.parametrize("side,frames", [("+", 5), ("-", 5), ("both", 9)])
def test_guidance_is_its_equation(basis, side, frames):
    model, x = Bent(), some(2)
    v, walk = basis.directions[:, 1].expand_as(x), Guidance(side=side, scale=0.3)
    found = {0: x}
    for sign in (1, -1):  # the literal twin
        here = x
        for step in range(1, 17):
            here = here + 0.3 * (model.run(here + sign * v).output - model.run(here).output)
            found[sign * step] = here
    shown = {"+": range(0, 17, 4), "-": range(-16, 1, 4), "both": range(-16, 17, 4)}[side]
    states = walk.states(model, x, v)
    assert states.shape[1] == frames == len(walk.values)
    torch.testing.assert_close(states, torch.stack([found[i] for i in shown], 1))
    torch.testing.assert_close(walk.values, torch.tensor([0.3 * i for i in shown]))


def test_the_published_walks_show_five_frames_of_seventeen_states():
    ahead, back = PUBLISHED
    torch.testing.assert_close(ahead.values, torch.tensor([0, 0.4, 0.8, 1.2, 1.6]))
    torch.testing.assert_close(back.values, -ahead.values.flip(0))


@pytest.mark.parametrize("walk", [Sphere(), Sphere(4), Guidance(), Guidance(side="both")])
def test_sheets_decode_the_start_once(basis, walk):
    model, x = Bent(), some(2)
    assert isinstance(model, Denoises)
    found = sheets(model, x, basis, walk, batch=3)
    moving = int((walk.values != 0).sum())
    still = len(walk.values) - moving
    assert model.sampled == 2 * (3 * moving + still), "theirs would be three times the start"
    assert [s.unit for s in found] == ["bent/pullback/0", "bent/pullback/1", "bent/pullback/2"]
    assert [s.index for s in found] == [0, 1, 2]
    for k, sheet in enumerate(found):
        states = walk.states(model, x, basis.directions[:, k].expand_as(x))
        assert torch.equal(sheet.images, (states / 2 + 0.5).clamp(0, 1))
        assert torch.equal(sheet.values, walk.values) and len(sheet) == 2
    one = sheets(Bent(), x, basis, walk, batch=1)
    assert all(torch.equal(a.images, b.images) for a, b in zip(found, one, strict=True))


def test_some_directions_are_walked_as_among_all(basis):
    model, x = Bent(), some(2)
    found = list(each(model, x, basis, Sphere(5), only=[2, 0]))
    assert [s.index for s in found] == [2, 0] and model.sampled == 2 * (2 * 4 + 1)
    assert [s.unit for s in found] == ["bent/pullback/2", "bent/pullback/0"]
    whole = sheets(Bent(), x, basis, Sphere(5))
    assert all(s.images.equal(whole[s.index].images) for s in found)
    model = Bent()
    next(each(model, x, basis, Sphere(4)))
    assert model.sampled == 2 * 4, "the next direction is not sampled before its turn"


def test_strong_directions_change_acts_more_than_random_ones(basis):
    model, x = Bent(), some(2)

    def moved(some_basis):
        v = some_basis.directions[:, 0].expand_as(x)
        return float((model.acts(x + 0.1 * v) - model.acts(x)).norm())

    assert moved(basis) > 1.3 * max(moved(random_basis(x, 1, seed)) for seed in range(5))


def test_walks_that_go_nowhere_are_refused():
    with pytest.raises(BadInput) as caught:
        Sphere(1)
    assert str(caught.value) == (
        "a walk needs two frames and a reach above 0; it got frames=1, reach=3.0."
    )
    with pytest.raises(BadInput) as caught:
        Guidance(every=20)
    assert str(caught.value) == (
        "guidance needs at least one step between frames and as many in all, and a scale and a "
        "length above 0; it got steps=16, every=20, scale=0.1, length=1.0."
    )
    with pytest.raises(BadInput) as caught:
        Guidance(side="up")
    assert str(caught.value) == "guidance goes +, -, both; it got 'up'. Choose one."
