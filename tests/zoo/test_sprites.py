"""Sprites are what their factors say."""

import numpy as np
import pytest
import torch

from legenda.errors import BadInput
from legenda.zoo.sprites.world import COLOUR, GREY, drawn, world_of


def test_a_picture_is_a_pure_function_of_its_factors():
    one, two = drawn(COLOUR, 6, 3, 32), drawn(COLOUR, 6, 3, 32)
    assert torch.equal(one.pictures, two.pictures)
    assert not torch.equal(one.pictures, drawn(COLOUR, 6, 4, 32).pictures)
    assert torch.equal(COLOUR.draw(one.factors[2:3], 32)[0], one.pictures[2])


def test_a_batch_is_its_pictures_whatever_its_size():
    factors = GREY.sample(300, 0)
    assert torch.equal(GREY.draw(factors, 16)[299:], GREY.draw(factors[299:], 16))


@pytest.mark.parametrize("factor,axis", [("x", 2), ("y", 1)])
def test_places_move_the_centre_of_mass(factor, axis):
    factors = np.zeros((2, 5), int)
    factors[:, 3:] = 16
    factors[1, GREY.factors.index(factor)] = 24
    pictures = GREY.draw(factors, 64)[:, 0].double()
    place = torch.arange(64).double()
    centres = (pictures.sum(3 - axis) * place).sum(1) / pictures.sum((1, 2))
    moved = (GREY.levels[factor][24] - GREY.levels[factor][16]) * 32
    assert float(centres[1] - centres[0]) == pytest.approx(moved, abs=0.3)


def test_sizes_grow_the_area_by_their_square():
    factors = np.tile([0, 0, 0, 16, 16], (2, 1))
    factors[1, 1] = 5
    area = GREY.draw(factors, 64).double().mean((1, 2, 3)) / 255
    assert float(area[1] / area[0]) == pytest.approx(4.0, rel=0.06)
    assert float(area[1]) == pytest.approx((0.72 * GREY.levels["size"][5]) ** 2, rel=0.06)


def test_colours_are_those_of_their_levels():
    factors = np.tile([0, 7, 0, 12, 12, 0, 3], (1, 1))
    picture = COLOUR.draw(factors, 32)[0]
    assert picture[:, 16, 16].tolist() == [255, 0, 0]
    assert picture[0, 0, 0] == round(COLOUR.levels["background"][3] * 255)


def test_an_unknown_world_is_refused():
    with pytest.raises(BadInput) as caught:
        world_of("gray")
    assert str(caught.value) == (
        "there is no world of sprites 'gray'. Did you mean 'grey'? Known: grey, colour."
    )
