import math

import pytest
import torch
from torch.nn.functional import normalize

from legenda.errors import BadInput, ShapeError
from legenda.intervene.pixels import upsample
from legenda.score.c_squared import CSquared
from tests.score.concept_toys import CELLS, GRID, lot, marking, mixed, parts, resampled, sparse


def dense_features(b=12, e=8, scale=1, seed=6):
    h, w = GRID
    return torch.randn(b, h * scale, w * scale, e, generator=lot(seed)) + 0.3


def looked_at(features):
    return lambda i: features[i]


def literal(dense, features, top=30):
    """Equations (1) and (2), pair by pair."""
    found = []
    for u in range(dense.shape[2]):
        peaks = dense[..., u].amax(1)
        images = [i for i in peaks.argsort(descending=True).tolist() if peaks[i] > 0][:top]
        if len(images) < 2:
            found.append(math.nan)
            continue
        seen, above, below = {}, 0.0, 0.0
        for i in images:
            m = dense[i, :, u].double()
            m = upsample(m[None], GRID, tuple(features.shape[1:3])).flatten()
            seen[i] = (m[:, None] * features[i].flatten(0, 1).double()).sum(0) / m.sum()
        for i in images:
            for j in images:
                if i != j:
                    both = float(peaks[i] * peaks[j])
                    above += both * float(torch.cosine_similarity(seen[i], seen[j], dim=0))
                    below += both
        found.append(above / below)
    return found


@pytest.mark.parametrize(("scale", "top"), [(1, 30), (2, 30), (1, 4)])
def test_every_unit_agrees_with_its_literal_twin(scale, top):
    dense, features = mixed(share=0.05), dense_features(scale=scale)
    dense[..., 4] = 0
    found = CSquared(top)(sparse(dense), GRID, looked_at(features))
    want = literal(dense, features, top)
    assert found.each.tolist() == pytest.approx(want, rel=1e-4, abs=1e-5, nan_ok=True)
    assert math.isnan(want[4]) and found.score.n == 12
    assert found.score.value == pytest.approx(float(found.each.nanmean()))


def test_units_that_mark_one_thing_beat_their_scattered_maps():
    """The other encoder sees another direction in each part, and noise."""
    masks = parts(30)
    features = 0.3 * dense_features(30)
    features += torch.einsum("bphw,pe->bhwe", masks.float(), torch.eye(8)[:3])
    found = CSquared()(sparse(marking(masks)), GRID, looked_at(features))
    assert found.score.beats_control
    assert found.each[:3].min() > 0.8 > found.each[3:].max()
    assert (found.each[:3] > found.control[:3] + 0.2).all()


def test_units_that_mark_nothing_score_like_the_control():
    found = CSquared()(sparse(mixed(30, 8)), GRID, looked_at(dense_features(30)))
    assert found.score.control is not None and not found.score.beats_control
    assert found.score.value == pytest.approx(found.score.control, abs=0.05)


def test_some_units_are_the_same_units():
    codes, features = sparse(mixed(share=0.1)), dense_features()
    whole = CSquared()(codes, GRID, looked_at(features))
    some = CSquared()(codes, GRID, looked_at(features), [4, 1])
    torch.testing.assert_close(some.each, whole.each[[4, 1]], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(some.control, whole.control[[4, 1]], rtol=1e-6, atol=1e-7)


def test_each_image_is_looked_at_once_and_only_if_a_unit_is_on():
    dense, asked = mixed(), []
    dense[3] = 0

    def features(i):
        asked.append(i)
        return dense_features()[i]

    CSquared()(sparse(dense), GRID, features)
    assert sorted(asked) == [i for i in range(12) if i != 3]


def test_the_scale_of_the_features_does_not_count():
    codes, features = sparse(mixed(share=0.1)), dense_features()
    one, other = (CSquared()(codes, GRID, looked_at(f)).each for f in (features, 50 * features))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_interval_is_that_of_a_bootstrap_over_images():
    masks = parts(50)
    features = 2 * dense_features(50)
    features += torch.einsum("bphw,pe->bhwe", masks.float(), torch.eye(8)[:3])
    dense = marking(masks, extra=2)
    seen = torch.einsum("bnu,bne->ube", dense.double(), features.flatten(1, 2).double())
    f, peak = normalize(seen, dim=2), dense.amax(1).T.double()
    alike = torch.einsum("ube,uce->ubc", f, f) * (1 - torch.eye(50, dtype=torch.float64))

    def at(rows):
        w = peak * rows.bincount(minlength=50)
        both = w[:, :, None] * w[:, None] * (1 - torch.eye(50, dtype=torch.float64))
        return float(((both * alike).sum((1, 2)) / both.sum((1, 2))).mean())

    score = CSquared(top=50)(sparse(dense), GRID, looked_at(features)).score
    want = resampled(at, 50)
    width = want[1] - want[0]
    assert score.interval == pytest.approx(want, abs=0.2 * width) and width > 1e-3
    assert score.value == pytest.approx(at(torch.arange(50)), abs=1e-6)


def test_what_cannot_be_looked_at_is_refused():
    with pytest.raises(ShapeError) as caught:
        CSquared()(sparse(mixed()), (6, 6), looked_at(dense_features()))
    assert str(caught.value) == (
        "C² needs codes of 6 x 6 positions; it got (12, 42, 6). Leave out special tokens."
    )
    with pytest.raises(BadInput) as caught:
        CSquared()(sparse(torch.zeros(2, CELLS, 3)), GRID, looked_at(dense_features()))
    assert str(caught.value) == (
        "C² needs units that are on somewhere; none is. Give other images."
    )
    with pytest.raises(BadInput) as caught:
        CSquared()(sparse(mixed()), GRID, looked_at(dense_features() / 0))
    assert str(caught.value) == (
        "C² needs finite features; those of image 0 hold NaN or infinity. Leave it out."
    )
