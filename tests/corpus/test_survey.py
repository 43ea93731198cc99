import pytest
import torch

from legenda.core.model import Rerun, prefix_of
from legenda.corpus.survey import FLOOR, SHARD, Moments, Sums, survey_moments
from tests.toys import SENTENCES, ToyEncoder, pixels, tiny_dual

rows = torch.randn(101, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_sums_are_the_mean_and_the_squares():
    sums = Sums.of(rows)
    assert sums.count == 101 and sums.mean.dtype == torch.float64
    assert torch.allclose(sums.mean, rows.double().mean(0))
    assert torch.allclose(sums.squares / 101, rows.double().var(0, correction=0))


@pytest.mark.parametrize("cut", [0, 1, 50, 101])
def test_merging_two_halves_is_one_pass(cut):
    merged, whole = Sums.of(rows[:cut]).merge(Sums.of(rows[cut:])), Sums.of(rows)
    assert merged.count == whole.count
    assert torch.allclose(merged.mean, whole.mean, rtol=1e-12)
    assert torch.allclose(merged.squares, whole.squares, rtol=1e-12)


def test_batches_of_whole_shards_change_no_byte():
    model, x = ToyEncoder(), pixels(3 * SHARD + 5)
    one = survey_moments(model, [x], "test")
    parts = survey_moments(model, x.split(SHARD), "test")
    for name in ("mean", "spread", "special_mean", "special_spread"):
        assert torch.equal(getattr(one, name), getattr(parts, name))
    assert one.count == parts.count == 4 * len(x)


def test_special_positions_and_padding_are_kept_apart():
    dual = tiny_dual("clip")
    prefix = prefix_of(dual.text, dual.ids(SENTENCES))
    moments = Moments.of(prefix)
    drawn = prefix.acts[prefix.valid & ~prefix.special].double()
    assert moments.count == len(drawn)
    assert torch.allclose(moments.mean, drawn.mean(0).float(), atol=1e-6)
    begins = prefix.acts[:, 0].double()
    at_end = dual.words.ends(dual.ids(SENTENCES))
    ends = prefix.acts[torch.arange(len(SENTENCES)), at_end].double()
    assert torch.allclose(moments.special_mean[0], begins.mean(0).float(), atol=1e-6)
    assert torch.allclose(moments.special_mean[1], ends.mean(0).float(), atol=1e-6)
    mean, spread = moments.at(prefix.acts, prefix.special)
    assert torch.equal(mean[0, 0], moments.special_mean[0])
    assert torch.equal(mean[2, at_end[2]], moments.special_mean[1])
    assert torch.equal(spread[0, 1], moments.spread)


def test_shards_with_more_special_positions_add_ranks():
    class Marked(ToyEncoder):
        def prefix(self, x):
            acts = self.run(x).acts.detach()
            special = torch.zeros(acts.shape[:2], dtype=torch.bool)
            special[:, : 1 + int(x[0, 0, 0, 0] > 50)] = True
            return Rerun(self, x, acts, special, torch.ones_like(special))

    x = pixels(4)
    few, many = x.clone(), x.clone()
    few[:, 0, 0, 0], many[:, 0, 0, 0] = 0, 99
    found = survey_moments(Marked(), [few, many, few], "test")
    assert found.special_mean.shape == (2, 6)
    second = Marked().prefix(many).acts[:, 1].detach()
    assert torch.allclose(found.special_mean[1], second.mean(0), atol=1e-5)


def test_a_dead_channel_gets_a_floor():
    dead = rows.clone()
    dead[:, 2] = 4.0
    moments = Moments.from_sums([Sums.of(dead)], "test")
    raw = dead.double().std(0, correction=0)
    assert moments.spread[2] == pytest.approx(FLOOR * float(raw.mean()), rel=1e-5)


def test_nothing_to_survey():
    with pytest.raises(ValueError, match="a survey needs at least one input"):
        survey_moments(ToyEncoder(), [], "test")
