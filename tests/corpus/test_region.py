import numpy as np
import pytest
from PIL import Image

from legenda.corpus.region import box, covered, parse, polygon
from legenda.errors import BadInput

GRID = (4, 6)


def test_a_box_is_rows_and_columns():
    assert box(GRID, 1, 2, 2, 3) == (8, 9, 10, 14, 15, 16)
    assert parse(GRID, "box:1,2,2,3") == box(GRID, 1, 2, 2, 3)
    assert parse(GRID, "all") == tuple(range(24))


def test_a_polygon_covers_the_positions_it_covers_by_half():
    assert polygon(GRID, [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)]) == (0, 1, 2, 6, 7, 8)
    below = parse((2, 2), "polygon:0,0;1,1;0,1")
    assert 2 in below
    assert 1 not in below


def test_a_mask_is_taken_where_it_is_light(tmp_path):
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 20:41] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert parse(GRID, str(tmp_path / "mask.png")) == (8, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("box:3,0,2,1", "a box of 2 × 1 at row 3, column 0 does not lie on the grid of 4 × 6. "
         "Rows and columns count from 0."),
        ("box:1,2", "a region is written box:TOP,LEFT,HEIGHT,WIDTH in rows and columns of the "
         "grid, or polygon:X,Y;X,Y;X,Y in shares of the picture; it got 'box:1,2'."),
        ("polygon:0,0;1,2;1,1", "a polygon needs three corners or more, (x, y) as shares of the "
         "picture from 0 to 1; it got [(0.0, 0.0), (1.0, 2.0), (1.0, 1.0)]."),
        ("polygon:0,0;0.01,0;0,0.01", "the region covers half of no position of the grid of 4 × 6. "
         "Make it larger."),
    ],
)  # fmt: skip
def test_what_is_no_region_is_refused(text, said):
    with pytest.raises(BadInput) as caught:
        parse(GRID, text)
    assert str(caught.value) == said


def test_a_mask_smaller_than_the_grid_is_refused():
    with pytest.raises(BadInput, match="needs at least as many pixels; it has 3 × 9"):
        covered(GRID, np.ones((3, 9), bool))
