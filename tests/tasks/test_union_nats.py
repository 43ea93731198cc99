import numpy as np
import pytest
import torch
from torch import nn

from legenda.atlas.store import Atlas, loaded
from legenda.concepts.model import ConceptModel
from legenda.errors import BadInput
from legenda.tasks import union_nats_atlas
from legenda.tasks.token_counts import occurrence
from legenda.tasks.union_nats import agreement, by_lot, measured, spearman, weighed
from legenda.tasks.union_nats_atlas import NATS, SLOPE, gather_nats
from tests.tasks import palette
from tests.tasks.atlas_world import counted
from tests.tasks.palette import CONCEPTS, GREEN, NEVER, RED


class Pays(nn.Module):
    """The seeker of the palette, which pays for a cell by how near it is to what is sought."""

    def __init__(self):
        super().__init__()
        self.inner = palette.seeker().root

    def forward(self, e):
        return self.inner(e)

    def nats(self, x):
        gaps = (x[:, None] - self.inner.sought[None, :, :, None, None]).square().sum(2)
        return (-2 * gaps).exp().amax(1).flatten(1)


def payer():
    held = palette.seeker()
    return ConceptModel(Pays(), held.codebook, CONCEPTS, palette.GRID, name="payer", ref="payer")


def pictures(count=24):
    tokens, labels = palette.grids(count)
    return torch.from_numpy(tokens.astype(np.int64)), labels


def numbers(labels):
    return [CONCEPTS.index(one) for one in labels]


def test_planted_the_sought_colours_come_first_by_nats_and_by_slopes():
    tokens, labels = pictures()
    nats, tis, by = measured(payer(), tokens, numbers(labels), draws=12)
    assert by == "what the concept model pays"
    found = weighed(tokens.numpy().astype(np.uint16), nats, tis, 8, least=3)
    sought = {RED, GREEN}
    for one in (found.nats, found.tis):
        assert set(np.argsort(-np.nan_to_num(one.mean))[:2].tolist()) == sought
    for token in sought:
        assert found.nats.low[token] > found.nats_by_lot[token]
    assert NEVER not in found.known
    assert found.tokens_agree.value > 0.6
    assert found.cells_agree.interval[0] > found.cells_agree.control_interval[1]


def test_a_model_without_a_channel_is_asked_by_a_bottleneck():
    tokens, labels = pictures(8)
    nats, tis, by = measured(palette.seeker(), tokens, numbers(labels), draws=2)
    assert by == "a bottleneck fitted to each picture"
    assert nats.shape == tis.shape == (8, 16)
    assert np.isfinite(nats).all()
    again, _, _ = measured(palette.seeker(), tokens, numbers(labels), draws=2)
    assert np.array_equal(nats, again)


def test_spearman_is_the_correlation_of_ranks():
    lot = np.random.default_rng(0)
    one, other = lot.integers(0, 5, 40).astype(float), lot.random(40)

    def literal(values):
        return [sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values]

    assert spearman(one, other) == pytest.approx(np.corrcoef(literal(one), literal(other))[0, 1])
    assert spearman(one, np.exp(one)) == pytest.approx(1)
    assert spearman(other, -other) == pytest.approx(-1)
    assert spearman(one, np.zeros(40)) == 0


def test_maps_by_lot_keep_what_is_in_a_picture_and_do_not_agree():
    lot = np.random.default_rng(1)
    tokens = lot.integers(0, 20, (60, 16)).astype(np.uint16)
    worth = lot.random(20)[tokens] + 0.1 * lot.random(tokens.shape)
    dealt, _ = by_lot(worth, worth, 0, 0)
    assert not np.array_equal(dealt, worth)
    assert np.allclose(np.sort(dealt, 1), np.sort(worth, 1))
    found = weighed(tokens, worth, worth**2, 20)
    assert found.tokens_agree.value > 0.95
    assert found.tokens_agree.control < 0.7
    assert found.cells_agree.value == pytest.approx(1)
    assert abs(found.cells_agree.control) < 0.05
    assert np.array_equal(found.nats.mean, occurrence(tokens, worth, 20).mean)


def test_the_interval_of_an_agreement_holds_it_and_narrows():
    lot = np.random.default_rng(2)
    one = lot.random(200)
    other = one + 0.5 * lot.random(200)
    wide, narrow = (agreement("x", one[:n], other[:n], [0.0, 0.1], 0) for n in (20, 200))
    assert narrow.interval[0] < narrow.value < narrow.interval[1]
    assert narrow.interval[1] - narrow.interval[0] < wide.interval[1] - wide.interval[0]
    assert narrow.control_interval == (0.0, 0.1)


def test_too_little_is_refused():
    tokens = np.zeros((4, 16), np.uint16)
    with pytest.raises(BadInput) as few:
        weighed(tokens, np.ones((4, 16)), np.ones((4, 16)), 8)
    assert str(few.value) == (
        "ranks are compared over three tokens or more that 5 pictures hold; there are 0. Give more "
        "pictures, or ask for fewer of each token."
    )


def test_tokens_are_weighed_into_an_atlas_once(tmp_path, monkeypatch):
    tokens, labels = pictures()
    with Atlas(tmp_path, write=True) as atlas:
        study = gather_nats(atlas, palette.model(), payer(), tokens, labels, draws=4, least=3)
        row = atlas.one("SELECT kind, content FROM results WHERE study = ?", study)
        found = loaded(row["content"])
        assert row["kind"] == "importance"
        numbers_ = dict(atlas.all("SELECT id, number FROM units"))
        assert {numbers_[one["unit"]] for one in found["tokens"][:2]} == {RED, GREEN}
        low, high = map(float, found["tokens"][0]["nats between"].split(" and "))
        assert low <= found["tokens"][0]["nats"] <= high
        assert low > found["tokens"][0]["nats by lot"]
        assert found["tokens"][0]["nats"] > found["tokens"][0]["nats by lot"]
        assert found["agreement"][0]["control"] is not None
        unit = found["tokens"][0]["unit"]
        scores = atlas.all(
            "SELECT s.* FROM scores s JOIN explanations x ON x.id = s.explanation "
            "WHERE x.unit = ? ORDER BY s.name", unit)  # fmt: skip
        assert [s["name"] for s in scores] == sorted([NATS, SLOPE])
        assert all(s["control"] < s["value"] for s in scores)
        states = dict(atlas.all("SELECT number, state FROM units"))
        assert states[NEVER] == states[RED] == "unread"
        monkeypatch.setattr(union_nats_atlas, "measured", None)
        again = gather_nats(atlas, palette.model(), payer(), tokens, labels, draws=4, least=3)
        assert again == study
        assert counted(atlas, "studies") == 1
