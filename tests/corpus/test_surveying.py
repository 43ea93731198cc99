import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from legenda.core.codes import Codes
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.corpus.coded_shard import CodedShard, packed, unpacked
from legenda.corpus.picture_pass import GROUP, SHARD
from legenda.corpus.record import Record
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.surveying import cost, survey
from legenda.corpus.unit_statistics import UnitStatistics
from legenda.corpus.unit_survey import UnitSurvey
from legenda.errors import BadInput, Refused, ShapeError, Unsupported
from tests.corpus.survey_world import (
    Nursery,
    ToyPatches,
    ToyPictures,
    ToyTopK,
    one_survey,
    sums,
    toy_units,
)

BROKEN = (3, 40, 41)


def bits(found):
    """All numbers of a survey, as bytes."""
    plain = [v for v in vars(found).values() if isinstance(v, np.ndarray)]
    plain += list(vars(found.exemplars).values())
    for pairs in (found.together, found.weighted):
        plain += [pairs.data, pairs.indices, pairs.indptr]
    return [array.tobytes() for array in plain], found.keys, found.refused, found.positions


def at_once(units, pictures):
    """What a survey should find, from all pictures in one batch."""
    good = [i for i in range(len(pictures)) if i not in pictures.broken]
    x = units.model.pixels([pictures.open(i) for i in good])
    codes = units.dictionary.encode(units.model.acts(x)[:, 1:])
    return codes, UnitStatistics.of(codes, top=5), SparsePairs.of(codes)


@pytest.mark.parametrize("units", [toy_units(), toy_units(units=12)])
def test_a_survey_is_what_one_batch_tells(units):
    pictures = ToyPictures(70, BROKEN)
    found = survey(units, pictures, top=5, shard=8)
    codes, statistics, pairs = at_once(units, pictures)
    assert found.address == "toy-patches/toy-topk" and found.grid == (4, 4)
    assert found.images == 67 and found.positions == 67 * 16
    for name in ("active", "active_images", "largest", "histogram"):
        assert np.array_equal(getattr(found, name), getattr(statistics, name))
    assert np.allclose(found.total, statistics.total, rtol=1e-12)
    assert (found.together != pairs.together).nnz == 0
    assert np.allclose(found.weighted.toarray(), pairs.weighted.toarray(), rtol=1e-12)
    expected = statistics.strongest.table(len(units), 5)
    for name, value in vars(expected).items():
        assert np.array_equal(vars(found.exemplars)[name], value)
    assert not found.largest.max() > 9  # the class token, which is far stronger, is no position


def test_exemplars_lead_back_to_their_pictures():
    units, pictures = toy_units(), ToyPictures(70, BROKEN)
    found = survey(units, pictures, top=5)
    unit = int(found.active.argmax())
    for image, position, value in zip(
        *(getattr(found.exemplars, n)[unit] for n in ("image", "position", "value")), strict=True
    ):
        i = int(found.keys[image].removesuffix(".png"))
        codes = units.codes(units.model.pixels([pictures.open(i)]))
        assert float(codes.of(unit)[0, 1 + position]) == pytest.approx(float(value), rel=1e-5)


def test_unreadable_pictures_are_listed_and_counted_out():
    found = survey(toy_units(), ToyPictures(70, BROKEN))
    assert found.refused == tuple(
        (f"{i}.png", f"{i}.png is damaged. Export it again.") for i in BROKEN
    )
    assert not {f"{i}.png" for i in BROKEN} & set(found.keys)


def test_workers_and_recording_change_no_bit(tmp_path):
    units, pictures = toy_units(), ToyPictures(300, BROKEN)
    found = bits(survey(units, pictures, shard=8))
    assert bits(survey(units, pictures, shard=8, workers=5)) == found
    assert bits(survey(units, pictures, tmp_path, shard=8)) == found
    assert bits(survey(units, pictures, tmp_path, shard=8)) == found  # from the record alone
    assert bits(UnitSurvey.load(tmp_path / "survey.safetensors")) == found


def test_a_finished_record_serves_other_settings_without_the_model(tmp_path):
    units, pictures = toy_units(), ToyPictures(70, BROKEN)
    survey(units, pictures, tmp_path, shard=8)
    units.model.batches.clear()
    found = survey(units, pictures, tmp_path, shard=8, floor=0.5, top=2, per_image=1)
    assert units.model.batches == [1]  # the first picture, by which units are checked
    assert bits(found) == bits(
        survey(toy_units(), pictures, shard=8, floor=0.5, top=2, per_image=1)
    )
    assert all(len(set(row)) == 2 for row in found.exemplars.image if row.min() >= 0)


def test_forward_passes_are_whole_shards():
    units = toy_units()
    survey(units, ToyPictures(70, BROKEN))
    assert units.model.batches == [1, SHARD - 1, SHARD - 2, 6]


def test_progress_is_told_in_pictures():
    said = []
    survey(toy_units(), ToyPictures(70), report=lambda *told: said.append(told))
    assert said == [("survey", 32, 70), ("survey", 64, 70), ("survey", 70, 70)]


def stopped_after(pictures):
    """A report that interrupts a survey."""

    def report(what, done, total):
        if done >= pictures:
            raise KeyboardInterrupt

    return report


def test_an_interrupted_survey_goes_on_where_it_was(tmp_path):
    pictures = ToyPictures(300, BROKEN)
    with pytest.raises(KeyboardInterrupt):
        survey(toy_units(), pictures, tmp_path, shard=8, report=stopped_after(170))
    units = toy_units()
    found = survey(units, pictures, tmp_path, shard=8)
    assert sum(units.model.batches) == 1 + 300 - 2 * GROUP * 8
    assert bits(found) == bits(survey(toy_units(), pictures, shard=8))


def test_a_damaged_shard_is_named_and_computed_again(tmp_path):
    pictures = ToyPictures(200, BROKEN)
    found = bits(survey(toy_units(), pictures, tmp_path, shard=8))
    before = sums(tmp_path)
    (path,) = tmp_path.glob("00001-*.safetensors")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert Record(tmp_path).verify() == [path.name]
    units, said = toy_units(), []
    again = survey(units, pictures, tmp_path, shard=8, report=lambda *told: said.append(told))
    assert bits(again) == found and sums(tmp_path) == before
    assert sum(units.model.batches) == 1 + GROUP * 8
    assert (f"{path.name} is damaged, computed again", 64, 200) in said
    assert [what for what, _, _ in said if "damaged" in what] == [
        f"{path.name} is damaged, computed again"
    ]


def test_strict_ends_at_the_first_unreadable_picture(tmp_path):
    pictures = ToyPictures(70, BROKEN)
    for _ in range(2):
        with pytest.raises(BadInput, match=r"^3\.png is damaged\. Export it again\.$"):
            survey(toy_units(), pictures, tmp_path, strict=True)
        survey(toy_units(), pictures, tmp_path)  # what it recorded is refused the next time
    assert survey(toy_units(), ToyPictures(9), strict=True).images == 9


def test_nothing_is_written_where_a_dictionary_has_another_width(tmp_path):
    folder = tmp_path / "survey"
    with pytest.raises(ShapeError, match=r"^toy-topk reads width 7; it got 6\.$"):
        survey(Units(ToyPatches(), ToyTopK(width=7)), ToyPictures(), folder)
    for wrong in ({"floor": -1.0}, {"top": 0}):
        with pytest.raises(BadInput):
            survey(toy_units(), ToyPictures(), folder, **wrong)
    assert not folder.exists()


@pytest.mark.parametrize("other", [
    (toy_units(seed=1), ToyPictures()), (toy_units(), ToyPictures(seed=1)),
    (Units(ToyPatches(1), ToyTopK()), ToyPictures()),
])  # fmt: skip
def test_a_record_of_something_else_is_refused(tmp_path, other):
    survey(toy_units(), ToyPictures(), tmp_path)
    with pytest.raises(Refused, match="holds something else"):
        survey(*other, tmp_path)


def test_what_cannot_be_surveyed():
    with pytest.raises(BadInput, match=re.escape(
        "A survey needs pictures; there are none. Name a folder that has some."
    )):  # fmt: skip
        survey(toy_units(), ToyPictures(0))
    with pytest.raises(BadInput, match=re.escape(
        "A survey needs a picture or more in each shard and one worker or more; it got shard=0 "
        "and workers=2."
    )):  # fmt: skip
        survey(toy_units(), ToyPictures(), shard=0)
    with pytest.raises(BadInput, match=re.escape(
        "None of the 3 pictures can be read. The first: 0.png is damaged. Export it again."
    )):  # fmt: skip
        survey(toy_units(), ToyPictures(3, (0, 1, 2)))


def test_a_model_without_pictures_is_unsupported():
    model = ToyPatches()
    words = type("Words", (), {"name": "words", "ref": "", "grid": None, "acts": model.acts, "run": model.run})()  # fmt: skip # noqa: E501
    with pytest.raises(Unsupported, match=re.escape(
        "A survey needs a model that takes pictures by `pixels`; words has none. Open an image "
        "model with `legenda.open`, or give it such a method."
    )):  # fmt: skip
        survey(Units(words, ToyTopK()), ToyPictures())


def test_activations_that_are_not_finite_name_their_picture():
    class Broken(ToyPatches):
        def acts(self, x):
            acts = super().acts(x)
            return acts.masked_fill((x[:, :1, :1, :1] > 0.49).flatten(1, 2), torch.inf)

    with pytest.raises(BadInput, match=(
        r"^toy-patches holds NaN or infinity for \d+\.png; units are counted on finite activations"
        r"\. Check the model, or leave the picture out\.$"
    )):  # fmt: skip
        survey(Units(Broken(), ToyTopK()), ToyPictures(300))


def test_the_model_is_left_as_it_was():
    units = toy_units()
    units.model.train()
    before = units.model.weight.clone()
    survey(units, ToyPictures(9))
    assert units.model.training and units.model.weight.grad is None
    assert torch.equal(units.model.weight, before)


def test_neurons_are_units_too():
    found = survey(Units(ToyPatches(), Identity(6)), ToyPictures(40))
    assert found.together.shape == (6, 6) and (found.largest > 0).all()
    assert found.largest.max() < 1.0001  # tanh; the class token is above 8


def test_a_dry_run_writes_nothing_and_grows_with_the_pictures():
    units = toy_units()
    small, large = cost(units, ToyPictures(64)), cost(units, ToyPictures(6400))
    assert small.timed == large.timed == SHARD and large.images == 6400
    assert large.seconds > 5 * small.seconds
    fixed = (100 * small.bytes - large.bytes) / 99
    assert 0 < fixed < small.bytes


def test_the_bytes_of_a_dry_run_are_those_of_the_record(tmp_path):
    units, pictures = toy_units(), ToyPictures(320)
    survey(units, pictures, tmp_path)
    plain = sum(p.stat().st_size for p in tmp_path.glob("0*"))
    fixed = cost(units, ToyPictures(1)).bytes
    assert cost(units, pictures).bytes - fixed == pytest.approx(plain, rel=0.1)


def test_half_precision_only_where_nothing_is_lost():
    index = torch.zeros(1, 2, 1, dtype=torch.int64)
    for value, dtype in ((0.5, torch.float16), (0.1, torch.float32), (1e6, torch.float32)):
        codes = Codes(index, torch.full((1, 2, 1), value), 40)
        shard = CodedShard.of(codes, torch.ones(1, 2, dtype=torch.bool), [5])
        tensors = packed([shard], 40)
        assert tensors["0/weight"].dtype == dtype and tensors["0/index"].dtype == torch.int16
        (again,) = unpacked(tensors)
        assert torch.equal(again.weight, shard.weight) and again.pictures.tolist() == [5]
    assert packed([shard], 40_000)["0/index"].dtype == torch.int32


def test_pictures_of_different_lengths_keep_their_positions():
    codes = Codes(torch.arange(6).view(2, 3, 1), torch.ones(2, 3, 1), 6)
    mask = torch.tensor([[False, True, True], [True, False, False]])
    again, present = CodedShard.of(codes, mask, [0, 1]).codes(6)
    assert present.tolist() == [[True, True], [True, False]]
    assert again.index[present].flatten().tolist() == [1, 2, 3]


def test_killed_at_any_moment_it_ends_with_the_same_bits(tmp_path):
    with Nursery("tests.corpus.survey_world:one_survey") as nursery:
        whole, finished = nursery.killed(0, tmp_path, kills=5)
    one_survey(tmp_path / "here")
    assert {"manifest.json", "survey.safetensors"} < set(sums(whole))
    assert all(sums(folder) == sums(whole) for folder in [*finished, tmp_path / "here"])


def test_replaced_pictures_are_another_corpus():
    assert ToyPictures().digest != replace(ToyPictures(), seed=1).digest
