import math

import numpy as np
import pytest
import torch

from legenda.core.codes import Codes
from legenda.tasks.image_concepts import ImageConcept, image_concepts


def codes():
    """Two pictures of 3 × 3 positions; unit 0 is on everywhere, unit 4 in one corner."""
    dense = torch.zeros(2, 9, 6)
    dense[:, :, 0] = 0.5
    dense[0, 0, 4], dense[0, 8, 2], dense[1, 4, 3] = 2.0, 1.0, 3.0
    weight, index = dense.topk(2)
    return Codes(index, weight, 6)


def test_ranks_are_the_literal_ones():
    held = np.array([10, 1, 2, 5, 4, 1])
    found = image_concepts(codes(), (3, 3), held_by=held, images=10)
    dense = codes().dense()
    for b, row in enumerate(found):
        for one in row:
            mass = sum(float(dense[b, u, one.unit]) for u in range(9))
            assert one.mass == pytest.approx(mass)
            assert one.rank == pytest.approx(mass * math.log(10 / held[one.unit]))
    assert [o.unit for o in found[0]] == [4, 2], "what is in every picture says nothing of one"
    assert [o.unit for o in image_concepts(codes(), (3, 3), by="mass")[0]] == [0, 4, 2]
    assert [o.unit for o in image_concepts(codes(), (3, 3), by="strongest")[0]] == [4, 2, 0]


def test_maps_are_the_codes_on_the_grid():
    first = image_concepts(codes(), (3, 3), by="strongest")[0][0]
    assert first.map[0, 0] == 2 and first.map.sum() == 2 and first.share == pytest.approx(1 / 9)
    assert first.word is None


def test_places_are_said_in_words():
    def at(*cells):
        drawn = torch.zeros(5, 5)
        for cell in cells:
            drawn[cell] = 1.0
        return ImageConcept(0, None, drawn, 1.0, 1.0, float((drawn > 0).float().mean()), 1.0).place

    assert at((2, 0)) == "on the left" and at((2, 4)) == "on the right"
    assert at((2, 2)) == "in the middle" and at((0, 2)) == "at the top"
    assert at((0, 0)) == "at the top left" and at((4, 4)) == "at the bottom right"
    assert at((0, 0), (4, 4)) == "in the middle"
    assert at(*[(i, j) for i in range(5) for j in range(4)]) == "all over"


def test_only_named_units_where_asked():
    found = image_concepts(codes(), (3, 3), {2: "wheel"}, by="mass", named=True)
    assert [[o.word for o in row] for row in found] == [["wheel"], []]
