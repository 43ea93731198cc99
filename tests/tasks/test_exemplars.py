import numpy as np
import pytest
from scipy.sparse import csr_array

from legenda.corpus.arrays import ArrayPictures
from legenda.corpus.unit_survey import Exemplars as Strongest
from legenda.corpus.unit_survey import UnitSurvey
from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused
from legenda.tasks import exemplars
from legenda.tasks.exemplars import CELLS, SIDE, collect, cut, load, save

GRID, HOW = (10, 10), Preprocess((40, 40), "squash", False)


def pictures(count=3):
    """Each pixel tells its picture, row and column."""
    made = np.zeros((count, 80, 80, 3), np.uint8)
    made[..., 0] = 50 * np.arange(1, count + 1)[:, None, None]
    made[..., 1], made[..., 2] = np.arange(80)[:, None], np.arange(80)
    return ArrayPictures(made)


def survey(image, position, keys):
    image, position = np.array(image), np.array(position)
    k, m = image.shape
    strongest = Strongest(
        np.ones((k, m)), image, position, np.zeros((k, m, 1), int), np.zeros((k, m, 1))
    )
    ones, none = np.ones(k, int), csr_array((k, k))
    edges = np.array([1.0, 2.0])
    return UnitSurvey(
        "a/b", GRID, keys, 100, ones, ones, ones * 1.0, ones * 1.0, ones * 1.0, edges,
        np.zeros((k, 3), int), strongest, none, none,
    )  # fmt: skip


def test_a_cut_is_the_cells_around_a_position_in_the_pictures_own_pixels():
    tile = cut(pictures().open(0), 55, GRID, HOW)  # row 5, column 5: pixels 40 to 48
    assert tile.shape == (SIDE, SIDE, 3)
    middle = tile[SIDE // 2 - 2 : SIDE // 2 + 2, SIDE // 2 - 2 : SIDE // 2 + 2].mean((0, 1))
    np.testing.assert_allclose(middle, [50, 43.5, 43.5], atol=1)
    assert tile[0, 0, 1] == pytest.approx(44 - CELLS * 8 / 2, abs=1)


def test_what_lies_outside_the_picture_is_white():
    tile = cut(pictures().open(0), 0, GRID, HOW)
    assert (tile[0, 0] == 255).all() and (tile[-1, -1] != 255).any()


def test_tiles_are_collected_by_unit_and_strength_and_come_back(tmp_path):
    many = pictures()
    keys = tuple(many.key(i) for i in range(3))
    found = collect(survey([[2, 0], [1, -1]], [[55, 55], [44, 0]], keys), many, HOW, [0, 1])
    assert found.tiles == {0: (0, 1), 1: (2,)}
    reds = [int(np.asarray(tile)[SIDE // 2, SIDE // 2, 0]) for u in (0, 1) for tile in found.of(u)]
    assert reds == [150, 50, 100]
    save(found, tmp_path)
    again = load(tmp_path)
    assert again.tiles == found.tiles and again.of(7) == []
    near = np.asarray(again.of(1)[0], int) - np.asarray(found.of(1)[0], int)
    assert abs(near).mean() < 6, "a little is lost, not the picture"


def test_a_picture_that_has_gone_is_left_out():
    many = pictures(2)
    keys = (many.key(0), "gone", many.key(1))
    found = collect(survey([[1], [2]], [[5], [5]], keys), many, HOW, [0, 1])
    assert list(found.tiles) == [1]


def test_nothing_and_damage(tmp_path, monkeypatch):
    assert load(tmp_path) is None
    many = pictures()
    keys = tuple(many.key(i) for i in range(3))
    save(collect(survey([[0]], [[1]], keys), many, HOW, [0]), tmp_path)
    (tmp_path / exemplars.SHEET).write_bytes(b"no picture")
    with pytest.raises(Refused, match="do not belong together, or are damaged. Survey again."):
        load(tmp_path)


def test_a_sheet_stays_within_what_its_format_holds(monkeypatch):
    monkeypatch.setattr(exemplars, "MOST", SIDE)
    many = pictures()
    keys = tuple(many.key(i) for i in range(3))
    told = survey([[0]] * 70, [[1]] * 70, keys)
    found = collect(told, many, HOW, range(70), count=1)
    assert len(found.tiles) == 64 and found.sheet.height == SIDE


def test_of_a_picture_that_may_not_be_shown_the_next_exemplar_takes_the_place():
    many = pictures()
    keys = tuple(many.key(i) for i in range(3))
    told = survey([[2, 0, 1]], [[55, 44, 33]], keys)
    found = collect(told, many, HOW, [0], count=2, allowed=lambda key: key != keys[2])
    reds = [int(np.asarray(tile)[SIDE // 2, SIDE // 2, 0]) for tile in found.of(0)]
    assert reds == [50, 100]
