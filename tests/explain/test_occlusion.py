import pytest
import torch

from legenda.core.target import Logit
from legenda.corpus.survey import Moments
from legenda.errors import BadInput
from legenda.explain.occlusion import Occlusion, windows
from legenda.intervene.pixels import blur
from tests.explain.toys import IDS, PLANTED, mixed, pictures, planted, sentence_units


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_it_is_equation_1(window, fill):
    units, x, reach = mixed(), pictures(2), window // 2
    everywhere = torch.ones(1, 16, 16, dtype=torch.bool)
    expected = torch.zeros(2, 16)
    for i in range(2):
        one = x[i : i + 1]
        cover = torch.zeros_like(one) if fill == "mean" else blur(one, everywhere, 8.0)
        for n in range(16):
            r, c = n // 4, n % 4
            rows = slice(4 * max(0, r - reach), 4 * (r + reach + 1))
            columns = slice(4 * max(0, c - reach), 4 * (c + reach + 1))
            covered = one.clone()
            covered[..., rows, columns] = cover[..., rows, columns]
            drop = units.model.run(one).output - units.model.run(covered).output
            expected[i, n] = drop[0, 0].detach()
    found = Occlusion(window=window, fill=fill, batch=5)(units, x, Logit(0)).scores
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_at_the_site_the_cover_is_the_mean_of_the_survey():
    units = sentence_units()
    mean = torch.arange(6.0)
    moments = Moments(mean, torch.ones(6), torch.zeros(1, 6), torch.ones(1, 6), 1, "a test")
    acts = units.model.acts(IDS[:1]).detach()
    covered = acts.clone()
    covered[0, 2] = mean
    drop = [units.model.run(IDS[:1], edit=lambda _, a=a: a).output[0, 0] for a in (acts, covered)]
    found = Occlusion(moments=moments)(units, IDS, Logit(0)).scores
    torch.testing.assert_close(found[0, 2], (drop[0] - drop[1]).detach())


def test_a_window_is_cut_at_the_border():
    near = windows(12, (3, 4), 3)
    assert near[0].nonzero().flatten().tolist() == [0, 1, 4, 5]
    assert near[5].sum() == 9
    assert torch.equal(near, near.T)
    assert torch.equal(windows(5, None, 3), torch.eye(5))


def test_covering_what_is_not_looked_at_changes_nothing():
    single = Occlusion(window=1)(planted(), pictures(), Logit(0)).scores
    others = torch.arange(16) != PLANTED
    assert single[:, others].abs().max() < 1e-6 < single[:, PLANTED].abs().min()
    wide = Occlusion(window=3)(planted(), pictures(), Logit(0)).scores
    touching = windows(16, (4, 4), 3)[PLANTED].bool()
    assert wide[:, ~touching].abs().max() < 1e-6 < wide[:, touching].abs().min()
    words = Occlusion()(sentence_units(), IDS, Logit(0)).scores
    assert (words.abs() > 1e-6).nonzero().tolist() == [[0, 2], [1, 2]]


def test_an_even_window_is_refused():
    with pytest.raises(BadInput) as refused:
        Occlusion(window=2)
    assert str(refused.value) == (
        "Occlusion needs an odd window of 1 or more patches; it got 2. Try 3."
    )
