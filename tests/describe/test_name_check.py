import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.core.codes import Codes
from legenda.core.interval import auroc
from legenda.describe import name_check
from legenda.describe.name_check import HeldOut, areas, checked, clustered, summary
from legenda.describe.naming import Name
from legenda.errors import BadInput, ShapeError
from tests.describe.toys import numbered, random


def test_equation_one_is_the_area_with_ties_as_half():
    lot = torch.Generator().manual_seed(0)
    scores = torch.randint(6, (8, 60), generator=lot).float()  # many ties
    on = torch.rand(8, 60, generator=lot) < torch.linspace(0.1, 0.9, 8)[:, None]
    picture = torch.randint(10, (60,), generator=lot)
    found = clustered(scores, on, picture)
    for row in range(8):
        slow = auroc(scores[row][on[row]], scores[row][~on[row]])
        assert float(found.area[row]) == pytest.approx(slow, abs=1e-12)
        assert int(found.n[row]) == int(on[row].sum())
        assert int(found.images[row]) == len(picture[on[row]].unique())


def literal_interval(scores, on, picture):
    """Equation (2), a pair of patches at a time."""
    up, down = np.flatnonzero(on), np.flatnonzero(~on)
    win = np.array([[1.0 * (scores[p] > scores[q]) + 0.5 * (scores[p] == scores[q]) for q in down]
                    for p in up])  # fmt: skip
    area, m, n = win.mean(), len(up), len(down)
    clusters = np.unique(picture)
    a = np.array([(win[picture[up] == c].mean(1) - area).sum() for c in clusters])
    b = np.array([(win[:, picture[down] == c].mean(0) - area).sum() for c in clusters])
    f = [
        count / (count - 1)
        for count in (len(np.unique(picture[up])), len(np.unique(picture[down])), len(clusters))
    ]
    variance = f[0] * (a**2).sum() / m**2 + f[1] * (b**2).sum() / n**2
    variance += 2 * f[2] * (a * b).sum() / (m * n)
    half = 1.959964 * np.sqrt(max(0.0, variance)) / (area * (1 - area))
    centre = np.log(area / (1 - area))
    return [1 / (1 + np.exp(-(centre + sign * half))) for sign in (-1, 1)]


def patches(images, each, seed, shared=1.0):
    """Scores of patches that lean the same way within a picture, and where a unit is on."""
    lot = torch.Generator().manual_seed(seed)
    picture = torch.arange(images).repeat_interleave(each)
    lean = shared * torch.randn(images, generator=lot)[picture]
    on = torch.rand(len(picture), generator=lot) < 0.2
    scores = 0.6 * on + lean + torch.randn(len(picture), generator=lot)
    return scores, on, picture


def test_equation_two_is_its_literal_twin():
    for seed in range(4):
        scores, on, picture = patches(12, 5, seed)
        found = clustered(scores[None], on[None], picture)
        low, high = literal_interval(scores.numpy(), on.numpy(), picture.numpy())
        assert float(found.low[0]) == pytest.approx(low, abs=1e-9)
        assert float(found.high[0]) == pytest.approx(high, abs=1e-9)


def test_the_interval_is_as_wide_as_a_bootstrap_of_pictures():
    scores, on, picture = patches(60, 8, 0, shared=1.5)
    found = clustered(scores[None], on[None], picture)
    lot = torch.Generator().manual_seed(1)
    drawn = []
    for _ in range(400):
        pick = torch.randint(60, (60,), generator=lot)
        rows = (pick[:, None] * 8 + torch.arange(8)).flatten()
        drawn.append(auroc(scores[rows][on[rows]], scores[rows][~on[rows]]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert float(found.high[0] - found.low[0]) == pytest.approx(high - low, rel=0.2)


def test_patches_of_one_picture_widen_the_interval():
    scores, on, picture = patches(20, 30, 0, shared=0.0)
    same = torch.randint(2, (20,), generator=torch.Generator().manual_seed(0)).bool()
    lean = scores + 2.0 * torch.randn(20, generator=torch.Generator().manual_seed(3))[picture]
    on = same[picture]  # whole pictures are on or off
    clusters = clustered(lean[None], on[None], picture)
    alone = clustered(lean[None], on[None], torch.arange(len(picture)))
    width = [float(x.high[0] - x.low[0]) for x in (clusters, alone)]
    assert clusters.area == alone.area and width[0] > 2 * width[1]


def test_intervals_hold_the_truth():
    held = 0
    big = clustered(*(x[None] if i < 2 else x for i, x in enumerate(patches(4000, 8, 99))))
    for seed in range(100):
        scores, on, picture = patches(40, 8, seed)
        found = clustered(scores[None], on[None], picture)
        held += bool(found.low[0] <= big.area[0] <= found.high[0])
    assert held >= 88


def test_what_cannot_be_known_says_so():
    scores = torch.arange(8.0)
    picture = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    none = torch.zeros(8, dtype=torch.bool)
    one, split = none.clone(), none.clone()
    one[0], split[4:] = True, True
    tied = torch.zeros(8)
    found = clustered(torch.stack([scores, scores, scores, tied]),
                      torch.stack([none, one, split, split]), picture)  # fmt: skip
    assert bool(found.area[0].isnan())
    assert (float(found.low[0]), float(found.high[0])) == (0.0, 1.0)
    assert (float(found.low[1]), float(found.high[1])) == (0.0, 1.0)  # on in one picture only
    assert float(found.area[2]) == 1.0 and float(found.high[2]) == 1.0
    assert float(found.low[2]) == pytest.approx(2 / (2 + 1.959964**2))  # Wilson's, two pictures
    assert float(found.area[3]) == 0.5
    assert (float(found.low[3]), float(found.high[3])) == (0.0, 1.0)


def sight(k=6, images=40, n=9, noise=1.0, seed=0):
    """Units that read patches linearly, and the words whose directions they have."""
    lot = torch.Generator().manual_seed(seed)
    words = random(30, seed)
    acts = torch.randn(images, n, 48, generator=lot)
    own = torch.rand(images, n, k, generator=lot) < 0.15
    acts = noise * acts + 4 * own.float() @ words[:k]
    weight = torch.where(own, 1.0, 0.0)
    index = torch.arange(k).expand(images, n, k)
    return HeldOut(Codes(index, weight, k), acts, torch.arange(images)), words


def names_of(words):
    return tuple(Name(i, w, 1.0, 0.1, ((w or "x", 1.0),), by="toy") for i, w in enumerate(words))


def test_right_names_do_better_than_random_ones_and_those_of_other_units():
    held, words = sight()
    names = checked(names_of([f"w{i}" for i in range(6)]), held, numbered(30), words)
    told = summary(names)
    assert told.n == 6
    assert told.names[0] > 0.9 and told.names[1][0] > 0.85
    assert 0.35 < told.random[0] < 0.65 and 0.3 < told.shuffled[0] < 0.6
    wrong = checked(names_of([f"w{i + 10}" for i in range(6)]), held, numbered(30), words)
    assert summary(wrong).names[0] < 0.65
    for one in names:
        assert one.check is not None and one.check.interval[0] < one.check.auroc
        assert one.check.n > 0 and one.check.images > 1


def test_the_geometry_alone_lifts_the_area_and_the_control_shows_it():
    held, words = sight()
    tilted = normalize(words + 2 * words[:6].mean(0), dim=1)  # every word leans to all units
    names = checked(names_of([f"w{i}" for i in range(6)]), held, numbered(30), tilted)
    told = summary(names)
    assert told.names[0] > 0.8 and told.random[0] > 0.55
    assert told.names[0] > told.random[1][1]


def test_blocks_change_nothing_and_the_seed_draws_the_controls(monkeypatch):
    held, words = sight()
    given = names_of([f"w{i}" for i in range(6)])
    whole = checked(given, held, numbered(30), words, seed=2)
    monkeypatch.setattr(name_check, "BLOCK", 2)
    assert checked(given, held, numbered(30), words, seed=2) == whole
    other = checked(given, held, numbered(30), words, seed=3)
    pairs = [(a.check, b.check) for a, b in zip(whole, other, strict=True)]
    assert all(a and b and a.auroc == b.auroc for a, b in pairs)
    assert any(a and b and a.random != b.random for a, b in pairs)


def test_on_reads_padded_slots_and_the_floor():
    codes = Codes(torch.tensor([[[0, 2], [2, 1]]]), torch.tensor([[[0.5, 0.0], [2e-4, 3.0]]]), 3)
    held = HeldOut(codes, torch.randn(1, 2, 4), torch.zeros(1, dtype=torch.long))
    assert held.on(torch.tensor([2, 0, 1]), 1e-3).tolist() == [
        [False, False], [True, False], [False, True],
    ]  # fmt: skip
    assert held.on(torch.tensor([2]), 1e-4).tolist() == [[False, True]]


def test_names_without_a_word_of_the_vocabulary_stay_as_they_are():
    held, words = sight()
    given = names_of(["w0", None, "a person's own word", "w3", "w4", "w5"])
    found = checked(given, held, numbered(30), words)
    assert found[1] is given[1] and found[2] is given[2]
    assert found[0].check is not None and found[3].check is not None
    alone = checked(names_of(["w0"]), held, numbered(30), words)[0].check
    assert alone is not None and np.isnan(alone.shuffled)
    assert checked((), held, numbered(30), words) == ()
    assert areas(held, torch.zeros(0, dtype=torch.long), [words[:0]])[0].area.shape == (0,)


def test_what_does_not_fit_is_refused():
    held, words = sight()
    with pytest.raises(ShapeError) as shape:
        checked(names_of(["w0"]), held, numbered(29), words)
    assert str(shape.value) == "29 words need as many embeddings; got 30."
    far = (Name(9, "w0", 1.0, 0.1, (("w0", 1.0),)),)
    with pytest.raises(BadInput) as units:
        checked(far, held, numbered(30), words)
    assert str(units.value) == (
        "names go up to unit 9; the held-out codes have 6 units. Encode the patches with the "
        "dictionary that was named."
    )
    with pytest.raises(BadInput) as none:
        summary(names_of(["w0"]))
    assert str(none.value) == (
        "no name was checked on patches where its unit is on and off. Check first."
    )
