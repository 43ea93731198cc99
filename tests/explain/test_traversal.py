"""Traversals against a loop over frames, their laws, and what was planted."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.explain.traversal import Traversal, anchors
from legenda.explain.traversal_grid import begun, filmed
from legenda.intervene.edits import put, steer
from legenda.presets import LATENTS
from tests.contracts import check_explainer
from tests.explain.decoders import bars, pictures, sparse, spatial, tokens, vector
from tests.toys import ToyEncoder, ToyVAE, pixels


def slow_twin(units, rows, index, values, edit=put, where=None):
    """Equation (3): one frame at a time, by the edits that everything else uses."""
    sheet = []
    for r, row in enumerate(rows):
        frames = []
        for value in values:
            here = None if where is None else where[r : r + 1]
            acts = units.lift(edit(index, float(value), where=here))(row[None])
            frames.append(units.model.visible(units.model.decode(acts))[0])
        sheet.append(torch.stack(frames))
    return torch.stack(sheet).expand(-1, -1, 3, -1, -1)


@pytest.mark.parametrize("mode", ["set", "add"])
@pytest.mark.parametrize("kind", ["vector", "spatial", "sparse", "signed", "tokens"])
def test_it_is_the_slow_twin(kind, mode):
    units = {
        "vector": vector, "spatial": spatial, "tokens": tokens,
        "sparse": lambda: sparse(spatial()), "signed": lambda: sparse(tokens(), signed=True),
    }[kind]()  # fmt: skip
    how = Traversal(5, quantiles_of="prior" if kind == "vector" else "codes", mode=mode)
    rows = anchors(units, 3, x=pictures())
    indices = [4, 0]
    found = how.many(units, rows, indices, batch=7)
    edit = put if mode == "set" else steer
    with torch.no_grad():
        for sheet, index in zip(found, indices, strict=True):
            slow = slow_twin(units, rows, index, sheet.values, edit)
            torch.testing.assert_close(sheet.images, slow, rtol=0, atol=2e-6)
            assert (sheet.index, sheet.unit) == (index, units[index].label)


def test_a_unit_may_move_at_some_positions_only():
    where = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)) < 0.4
    for units in (spatial(), sparse(spatial())):
        rows, how = anchors(units, 3, x=pictures()), Traversal(values=(-2.0, 0.5, 2.0))
        (found,) = how.many(units, rows, [2], where=where)
        with torch.no_grad():
            slow = slow_twin(units, rows, 2, found.values, where=where)
        torch.testing.assert_close(found.images, slow, rtol=0, atol=2e-6)
        assert found.effect().min() > 0
    nowhere = how.many(units, rows, [2], where=torch.zeros_like(where))[0]
    assert nowhere.effect().max() < 1e-6


def test_how_many_are_decoded_at_once_changes_nothing():
    units, how = vector(), Traversal(4)
    rows, indices = anchors(units, 3), [0, 3, 5, 1]
    whole = how.many(units, rows, indices)
    again = how.many(units, rows, indices)
    assert all(torch.equal(a.images, b.images) for a, b in zip(whole, again, strict=True))
    for batch, most in ((1, 0), (5, 0), (256, 1), (256, 700), (256, 1 << 20)):
        for one, other in zip(whole, how.many(units, rows, indices, batch, most), strict=True):
            torch.testing.assert_close(one.images, other.images, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch,pixels,most", [(256, 600, 2), (3, 1 << 20, 3), (1, 1, 1)])
def test_no_more_pictures_are_decoded_at_once_than_fit(batch, pixels, most):
    units, seen = vector(), []

    def watched(network, z):
        seen.append(len(z))
        return network.decode(z)

    rows, model = anchors(units, 2), replace(units.model, unlatent=watched)
    strips = filmed(model, (3, 2, 4), lambda u, r, s: rows[r], batch=batch, pixels=pixels)
    assert len(list(strips)) == 3
    assert max(seen) == most and sum(seen) == 24


def test_sheets_leave_one_by_one():
    units = vector()
    first = next(Traversal(4).each(units, anchors(units, 2), [3, 1], pixels=600))
    assert first.index == 3 and first.images.shape == (2, 4, 3, 16, 16)
    assert first.images.untyped_storage().nbytes() == first.images.nbytes


def test_values_are_quantiles_of_the_prior():
    sheet = Traversal(5, 0.9).many(vector(), anchors(vector(), 1), [2])[0]
    wanted = norm.ppf(np.linspace(0.05, 0.95, 5))
    np.testing.assert_allclose(sheet.values, wanted, atol=1e-12)
    share = norm.cdf(Traversal().grid(vector(), [0], torch.zeros(1, 1, 6))[0])
    assert share[-1] - share[0] == pytest.approx(0.95)


def test_values_are_quantiles_of_codes():
    units, x = sparse(spatial(), signed=True), pictures(6)
    pool = units.model.acts(x)
    found = Traversal(5, 0.8, quantiles_of="codes").grid(units, [1, 6], pool)
    dense = units.codes(x).dense()
    for own, index in zip(found, [1, 6], strict=True):
        wanted = np.quantile(dense[..., index].double().flatten().numpy(), np.linspace(0.1, 0.9, 5))
        np.testing.assert_allclose(own, wanted, atol=1e-12)


def test_what_is_added_goes_by_the_spread_of_codes():
    units, x = spatial(), pictures(6)
    pool = units.model.acts(x)
    how = Traversal(5, 0.8, quantiles_of="spread", mode="add")
    sigma = np.std(pool.double().flatten(0, 1).numpy(), axis=0)
    wanted = norm.ppf(np.linspace(0.1, 0.9, 5))
    for own, index in zip(how.grid(units, [1, 4], pool), (1, 4), strict=True):
        np.testing.assert_allclose(own, wanted * sigma[index], atol=1e-6)
    given = replace(how, values=(-1.0, 0.5, 2.0))
    np.testing.assert_allclose(given.grid(units, [3], pool)[0], sigma[3] * np.array([-1, 0.5, 2]), atol=1e-6)  # fmt: skip # noqa: E501
    torch.testing.assert_close(given(units, x, 3).values, given.grid(units, [3], pool)[0])
    with torch.no_grad():
        (sheet,) = how.many(units, pool[:2], [4], pool=pool)
        slow = slow_twin(units, pool[:2], 4, sheet.values, steer)
    torch.testing.assert_close(sheet.images, slow, rtol=0, atol=2e-6)


def test_an_anchor_keeps_its_pattern_where_a_channel_is_added():
    """In the middle, where nothing is added, stands the anchor; where a value is set, another."""
    units = spatial()
    rows = anchors(units, 3, x=pictures())
    clean = units.model.visible(units.model.decode(rows))
    for mode, of, kept in (("add", "spread", True), ("set", "codes", False)):
        (sheet,) = Traversal(5, quantiles_of=of, mode=mode).many(units, rows, [2])
        assert torch.allclose(sheet.images[:, 2], clean, atol=1e-6) is kept
        assert sheet.effect().min() > 0


def test_the_published_grid_is_a_preset():
    quirks = {"values", "real", "seed"}
    theirs, ours = vars(LATENTS.traversal), vars(Traversal())
    assert {name for name in theirs if theirs[name] != ours[name]} == quirks
    units = vector()
    sheet = LATENTS.traversal.many(units, anchors(units, LATENTS.rows, seed=20), [1])[0]
    assert sheet.values.tolist() == [-3, -1.5, 0, 1.5, 3] and sheet.images.shape[:2] == (1, 5)
    assert [(name, one.partner, one.value) for name, one in LATENTS.invariance] == [
        ("3dshapes", 1, 0.0), ("celeba", 0, 3.0), ("dsprites", 2, 0.0),
    ]  # fmt: skip
    assert LATENTS.conditional.strengths == (0, 1, 2, 3, 4)


# ------------------------------------------------------------------------------------ anchors


def test_anchors_are_pictures_draws_or_both():
    units, x = vector(), pictures(6)
    drawn, real = anchors(units, 6, 4), anchors(units, 6, 4, x)
    assert torch.equal(real, units.model.acts(x))
    half = anchors(units, 6, 4, x, real=0.5)
    torch.testing.assert_close(half[:3], real[:3])
    assert torch.equal(half[3:], drawn[:3])
    assert not torch.equal(anchors(units, 6, 5), drawn)
    assert torch.equal(anchors(units, 2, 4), drawn[:2]), "the first do not depend on the rest"
    many = anchors(units, 4000)
    assert abs(float(many.mean())) < 0.02 and abs(float(many.std()) - 1) < 0.02


# --------------------------------------------------------------------------- laws and planted


def test_what_was_planted_is_seen():
    rows = 0.5 * anchors(bars(), 4)  # so that no row is white all over
    bar, rest, nothing = Traversal().many(bars(), rows, [0, 1, 2])
    white = (bar.images[:, :, 0] > 0.99).all(2).sum(2)
    wanted = ((bar.values.float() + 2) * 4).round().long()
    assert torch.equal(white, wanted.expand(4, -1))
    assert (rest.images[:, :, 0, 0, -1].diff(dim=1) > 0).all()
    assert nothing.effect().max() == 0


def test_a_wider_span_changes_more():
    rows = anchors(bars(), 4)
    sizes = [float(Traversal(span=s).many(bars(), rows, [0])[0].effect().mean()) for s in (0.3, 0.6, 0.95)]  # fmt: skip # noqa: E501
    assert sizes[0] < sizes[1] < sizes[2]


def test_what_is_set_is_forgotten_and_what_is_added_is_not():
    units = bars()
    rows = anchors(units, 4)
    other = rows.clone()
    other[..., 0] -= 1.5
    for mode, same in (("set", True), ("add", False)):
        a, b = (Traversal(mode=mode).many(units, r, [0])[0].images for r in (rows, other))
        assert torch.equal(a, b) is same


@pytest.mark.parametrize("kind", ["vector", "sparse"])
def test_it_is_an_explainer(kind):
    units = vector() if kind == "vector" else sparse(spatial())
    how = Traversal(4, real=0.5) if kind == "vector" else Traversal(4, quantiles_of="codes")
    check_explainer(how, units, pictures(4), units[3])
    assert torch.equal(how(units, pictures(4), 3).images, how(units, pictures(4), units[3]).images)


def test_a_model_that_does_not_say_how_it_looks_is_clamped():
    torch.manual_seed(0)
    units = Units(ToyVAE(), Identity(4, "latents"))
    sheet = Traversal(3)(units, pixels(), units[1])
    assert sheet.images.shape == (3, 3, 3, 8, 8) and 0 <= sheet.images.min() <= 1


# ------------------------------------------------------------------------------------- refused


def refused(kind, act):
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


def test_what_cannot_be_traversed_is_refused():
    plain = Units(ToyEncoder(), Identity(6))
    assert refused(Unsupported, lambda: Traversal()(plain, pixels(), plain[1])) == (
        "Traversal needs a model with `decode`; toy-encoder has none. For encoders use Exemplars, "
        "or `legenda survey`."
    )
    units, rows = vector(), anchors(vector(), 2)
    for index in (6, -1):
        assert refused(BadInput, lambda i=index: Traversal().many(units, rows, [0, i])) == (
            f"unit {index} is not in vector/latents, which has 6 units, numbered from 0. Choose "
            "one of them."
        )
    seen = anchors(sparse(spatial()), 2, x=pictures(2))
    assert refused(BadInput, lambda: Traversal().many(sparse(spatial()), seen, [0])) == (
        "Traversal takes values from the prior of a latent vector; the units of grid/sparse have "
        "none. Say quantiles_of='codes', or give values."
    )
    assert refused(BadInput, lambda: Traversal().many(units, rows[:0], [0])) == (
        "Traversal needs anchors, one for each row; it got none. Give some pictures."
    )
    assert refused(BadInput, lambda: Traversal().many(units, rows * torch.nan, [0])) == (
        "Traversal needs anchors, one for each row; it got ones that are not finite. Give some "
        "pictures."
    )
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert refused(ShapeError, lambda: begun(rows, mask)) == (
        "Traversal needs `where` for (2, 1) rows and positions; it got (2, 3). Say of every "
        "position whether the unit moves there."
    )
    assert refused(BadInput, lambda: Traversal().many(units, rows, [0], batch=0)) == (
        "frames are decoded one at once or more; it got batch=0 and pixels=0. Leave pixels at 0 "
        "for what suits the device."
    )


def test_anchors_that_cannot_be_had_are_refused():
    assert refused(BadInput, lambda: anchors(spatial(), 2)) == (
        "only the latents of one vector can be drawn from a prior; grid has others. Give pictures, "
        "x, and real=1."
    )
    for count, real in ((5, 1.0), (0, 1.0), (3, 1.5)):
        assert refused(BadInput, lambda c=count, r=real: anchors(vector(), c, 0, pictures(3), r)) == (  # noqa: E501
            "anchors needs 1 row or more, a share of pictures from 0 to 1, and so many pictures; "
            f"it got count={count}, real={real} and 3 pictures."
        )  # fmt: skip


def test_settings_that_make_no_sense_are_refused():
    for changes in ({"frames": 1}, {"span": 0.0}, {"span": 1.0}):
        wrong = {"frames": 8, "span": 0.95, **changes}
        assert refused(BadInput, lambda c=changes: Traversal(**c)) == (
            "Traversal needs 2 frames or more, and a span between 0 and 1; it got "
            f"frames={wrong['frames']}, span={wrong['span']}."
        )
    odd = copy(Traversal())
    object.__setattr__(odd, "mode", "put")  # the checks of tests would refuse it earlier
    assert refused(BadInput, odd.__post_init__) == (
        "Traversal takes quantiles of the 'prior', of 'codes' or of their 'spread', to 'set' or to "
        "'add'; it got 'prior' and 'put'. Choose one of each."
    )
    for values in ((1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, float("nan"))):
        assert refused(BadInput, lambda v=values: Traversal(values=v)) == (
            f"Traversal needs 2 values or more that rise; it got {values}."
        )
