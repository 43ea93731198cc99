import re
from hashlib import sha256

import numpy as np
import pytest

from legenda.core.interval import wilson
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_statistics import UnitStatistics
from legenda.corpus.unit_survey import UnitSurvey
from legenda.errors import BadInput, Missing, Refused
from tests.corpus.test_sparse_pairs import drawn


def surveyed(grid=(3, 3), refused=(("7.png", "7.png is damaged."),)):
    codes = drawn(20, images=6, positions=9)
    keys = tuple(f"bild {i} ä.png" for i in range(6))
    return codes, UnitStatistics.of(codes, top=4).result(
        SparsePairs.of(codes), "toy/sae", grid, keys, refused
    )


def test_figures_of_one_unit():
    codes, survey = surveyed()
    z = codes.of(3).double()
    on = int((z > 1e-3).sum())
    assert survey.images == 6 and len(survey) == 20 and survey.positions == 54
    assert survey.share(3) == on / 54 and survey.interval(3) == wilson(on, 54)
    images = int((z > 1e-3).any(1).sum())
    assert survey.image_share(3) == images / 6 and survey.image_interval(3) == wilson(images, 6)
    assert survey.mean(3) == pytest.approx(float(z.mean()))
    assert survey.spread(3) == pytest.approx(float(z.std(correction=0)))


def test_quantiles_rise_and_end_at_the_greatest_weight():
    codes, survey = surveyed()
    assert (survey.active > 0).sum() > 10
    for unit in np.flatnonzero(survey.active).tolist():
        found = [survey.quantile(unit, q) for q in np.linspace(0, 1, 9)]
        assert (np.diff(found) >= 0).all()
        assert survey.quantile_bounds(unit, 1.0)[1] == float(codes.of(unit).max())


def test_a_unit_that_is_never_on_has_no_quantile():
    _, survey = surveyed()
    survey.histogram[5] = 0
    assert np.isnan(survey.quantile(5, 0.5))
    with pytest.raises(BadInput, match=re.escape(
        "A quantile is between 0 and 1; it got q=50.0. The median is 0.5."
    )):  # fmt: skip
        survey.quantile(5, 50.0)


@pytest.mark.parametrize("grid", [None, (3, 3)])
def test_what_is_saved_is_what_is_loaded(tmp_path, grid):
    _, survey = surveyed(grid)
    path = survey.save(tmp_path / "deep" / "survey.safetensors")
    again = UnitSurvey.load(path)
    for name in ("address", "grid", "keys", "positions", "refused"):
        assert getattr(again, name) == getattr(survey, name)
    for name in ("active", "active_images", "total", "squares", "largest", "edges", "histogram"):
        one, other = getattr(again, name), getattr(survey, name)
        assert one.dtype == other.dtype and np.array_equal(one, other)
    for name, value in vars(survey.exemplars).items():
        assert np.array_equal(vars(again.exemplars)[name], value)
    for name in ("together", "weighted"):
        one, other = getattr(again, name), getattr(survey, name)
        assert one.dtype == other.dtype and (one != other).nnz == 0 and one.nnz == other.nnz
    assert [p.name for p in path.parent.iterdir()] == ["survey.safetensors"]


def test_equal_surveys_give_equal_bytes(tmp_path):
    one, other = (surveyed()[1].save(tmp_path / name) for name in ("a", "b"))
    assert sha256(one.read_bytes()).digest() == sha256(other.read_bytes()).digest()


def test_a_survey_without_refused_pictures_and_pairs(tmp_path):
    _, survey = surveyed(refused=())
    assert UnitSurvey.load(survey.save(tmp_path / "a")).refused == ()


def test_what_cannot_be_loaded(tmp_path):
    absent, text = tmp_path / "no.safetensors", tmp_path / "text.safetensors"
    with pytest.raises(Missing, match=re.escape(
        f"survey {absent} is not there. Make it with `legenda survey`."
    )):  # fmt: skip
        UnitSurvey.load(absent)
    text.write_text("not a survey, though it is long enough to be one")
    with pytest.raises(Refused, match=re.escape(f"{text} is not a survey that can be read: ")):
        UnitSurvey.load(text)
    cut = surveyed()[1].save(tmp_path / "cut.safetensors")
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(Refused, match=re.escape("Make it anew with `legenda survey`.")):
        UnitSurvey.load(cut)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match="Make room there, or choose another place."):
        surveyed()[1].save(tmp_path / "file" / "survey.safetensors")
