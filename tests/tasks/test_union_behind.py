from functools import cache
from itertools import permutations

import pytest
import torch

from legenda.agreement import opened
from legenda.atlas.entries import UnitEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_model, put_set, put_units
from legenda.core.codes import Codes
from legenda.errors import BadInput, ShapeError
from legenda.tasks import union_behind_atlas
from legenda.tasks.atlas_models import model_entry, set_entry
from legenda.tasks.reading import Reader
from legenda.tasks.union_behind import behind, first_by_lot, fitted, shares
from legenda.tasks.union_behind_atlas import gather_behind, named_by
from legenda.tasks.union_maps import mapped
from legenda.tasks.union_scenes import told_scenes
from tests.tasks.atlas_world import counted, digest_at

WORDS = {0: "red", 1: "car", 2: "ground"}
SCENES = 6


def planted(maps=1, seed=0):
    """Nats on the first two of six positions, where red and car are on; ground is everywhere."""
    lot = torch.Generator().manual_seed(seed)
    nats = 0.1 * torch.rand(maps, 6, generator=lot)
    nats[:, :2] += torch.tensor([4.0, 2.0])
    index = torch.tensor([[0, 2], [1, 2], [2, 3], [2, 3], [2, 3], [2, 3]])
    weight = torch.tensor([[3.0, 1.0], [3.0, 1.0], [1.0, 3.0], [1.0, 0.0], [1.0, 0.0], [1.0, -2.0]])
    return nats.double(), Codes(index[None], weight[None], 4)


def test_nats_are_shared_out_as_the_equations_say():
    nats, codes = planted()
    units, share = shares(codes)
    found = {one.unit: one for one in behind(nats, codes, WORDS)}
    a, (index, weight) = nats[0].tolist(), (codes.index[0], codes.weight[0].clamp(min=0))
    for unit in WORDS:
        s = [float((weight[i] * (index[i] == unit)).sum() / weight[i].sum()) for i in range(6)]
        assert share[:, units.tolist().index(unit)].tolist() == pytest.approx(s)
        literal = sum(x * y for x, y in zip(a, s, strict=True))
        dealt = [sum(x * y for x, y in zip(p, s, strict=True)) for p in permutations(a)]
        every = torch.tensor(dealt).double()
        assert found[unit].nats == pytest.approx(literal)
        assert found[unit].chance == pytest.approx(float(every.mean()))
        assert found[unit].spread == pytest.approx(float(every.std(correction=0)))
        assert found[unit].excess == pytest.approx(literal - float(every.mean()))


def test_what_is_on_everywhere_has_nats_and_does_not_come_first():
    nats, codes = planted(3)
    found = behind(nats, codes, WORDS)
    assert [one.word for one in found] == ["red", "car", "ground"]
    ground = found[-1]
    assert ground.nats > 1
    assert ground.excess < 0
    assert found[0].standing > 1
    assert found[0].interval[0] < found[0].excess < found[0].interval[1]


def test_only_named_concepts_are_ranked_unless_all_are_asked_for():
    nats, codes = planted()
    assert [one.unit for one in behind(nats, codes, {1: "car"})] == [1]
    everything = behind(nats, codes, {1: "car"}, named=False)
    assert {one.unit for one in everything} == {0, 1, 2, 3}
    assert [one.word for one in everything if one.unit != 1] == [None] * 3
    assert behind(nats, codes, {}) == []
    assert first_by_lot(nats, codes, {}, 3) == [""] * 3


def test_nats_dealt_by_lot_put_any_concept_first_and_the_seed_decides():
    nats, codes = planted()
    lots = first_by_lot(nats, codes, WORDS, 400)
    assert set(lots) == {"red", "car", "ground"}
    assert lots.count("red") / 400 < 0.6
    assert lots == first_by_lot(nats, codes, WORDS, 400)
    assert lots != first_by_lot(nats, codes, WORDS, 400, seed=1)


def test_more_maps_are_averaged_and_the_interval_knows_of_their_noise():
    nats, codes = planted()
    noisy = nats + torch.tensor([[3.0], [-3.0]]) * torch.tensor([1.0, 0, 0, 0, 0, 0])
    one, two = behind(nats, codes, WORDS)[0], behind(noisy, codes, WORDS)[0]
    assert one.excess == pytest.approx(two.excess)
    assert two.interval[1] - two.interval[0] > one.interval[1] - one.interval[0]


def test_a_map_on_another_grid_keeps_its_nats():
    maps = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    laid = fitted(maps, (2, 3))
    assert laid.shape == (2, 6)
    assert laid.sum(1).tolist() == pytest.approx(maps.sum((1, 2)).tolist())
    assert float(laid[0, 0]) == pytest.approx(float(maps[0, :2, :2].sum()))
    assert torch.equal(fitted(maps, (4, 6)), maps.flatten(1))


def test_maps_that_do_not_fit_are_refused():
    nats, codes = planted()
    with pytest.raises(ShapeError) as caught:
        behind(nats[:, :4], codes, WORDS)
    assert str(caught.value) == (
        "concepts behind a map need the codes of one picture at the positions of the map; they got "
        "1 pictures of 6 positions and a map of 4. Lay the map on the grid of the dictionary first "
        "(`fitted`)."
    )
    with pytest.raises(BadInput) as wrong:
        behind(nats * torch.nan, codes, WORDS)
    assert str(wrong.value) == (
        "concepts behind a map need one map or more, of finite nats; they got 1, 6 numbers of "
        "which are not finite."
    )


def test_a_name_of_two_words_needs_both():
    assert named_by("red", {"a", "red"})
    assert named_by("round shape", {"round", "shape"})
    assert not named_by("round shape", {"round"})
    assert not named_by("", {"a"})


@cache
def reader():
    return Reader.of("zoo:scenes")


@pytest.fixture
def once(monkeypatch):
    """Models that are opened once for all tests."""
    dual = reader().model.dual
    monkeypatch.setattr(union_behind_atlas, "opened", lambda ref, device="cpu": dual)
    monkeypatch.setattr(union_behind_atlas.Reader, "of", classmethod(lambda cls, *_: reader()))


def with_concepts(place):
    """An atlas that holds the concepts already, as bare as can be."""
    atlas, held = Atlas(place, write=True), reader()
    model = put_model(atlas, model_entry(held.model.dual, "patches(0.4)", "zoo:scenes"))
    set_id = put_set(atlas, set_entry(model, held.dictionary, "concept"))
    put_units(atlas, [
        UnitEntry(set_id, i, f"concept {i}", "named" if i in held.words else "unread",
                  held.words.get(i, "")) for i in range(256)
    ])  # fmt: skip
    return atlas


def asked(count):
    told = told_scenes(count, set(reader().words.values()))
    return [t.shown for t in told], [t.sentence for t in told], [t.true for t in told]


def test_planted_the_sentence_names_the_first_concept_behind_its_map(tmp_path, once):
    pictures, sentences, true = asked(SCENES)
    with with_concepts(tmp_path / "a") as atlas:
        study = gather_behind(atlas, "zoo:scenes", pictures, sentences, also=true, seeds=(0,))
        row = atlas.one("SELECT kind, content FROM results WHERE study = ?", study)
        found = loaded(row["content"])
        assert row["kind"] == "importance"
        assert found["n"] == SCENES
        assert found["value"] >= 5 / 6  # .93 of 191 scenes
        assert found["control"] < 0.5
        assert found["low"] > found["control"]
        assert len(found["pairs"]) == SCENES
        first = found["pairs"][0]
        assert first["above low"] <= first["above"] <= first["above high"]
        assert first["nats"] - first["nats by chance"] == pytest.approx(first["above"])
        name = atlas.value("SELECT name FROM units WHERE id = ?", first["unit"])
        one = atlas.one("SELECT * FROM explanations WHERE picture = ?", first["picture"])
        facts = loaded(one["facts"])
        assert facts["behind"][0]["name"] == name
        assert 0 < facts["cosine"] < 1
        assert not facts["flagged"]
        said = atlas.all("SELECT text FROM descriptions WHERE explanation = ?", one["id"])
        assert said[0]["text"] == name
        evidence = atlas.one("SELECT evidence FROM readings WHERE picture = ?", first["picture"])
        nats = atlas.arrays(evidence[0])["nats"]
        map_ = atlas.arrays(one["evidence"])["map"]
        assert torch.equal(nats, map_.flatten())


def test_a_study_that_was_killed_goes_on_and_ends_the_same(tmp_path, once, monkeypatch):
    pictures, sentences, true = asked(2)
    monkeypatch.setattr(union_behind_atlas, "BATCH", 1)
    with with_concepts(tmp_path / "whole") as atlas:
        gather_behind(atlas, "zoo:scenes", pictures, sentences, also=true, seeds=(0,))
        before = counted(atlas, "explanations")
        gather_behind(atlas, "zoo:scenes", pictures, sentences, also=true, seeds=(0,))
        assert counted(atlas, "explanations") == before == 2

    calls, mapped = [], union_behind_atlas.mapped

    def dies(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return mapped(*given)

    with with_concepts(tmp_path / "cut") as atlas:
        monkeypatch.setattr(union_behind_atlas, "mapped", dies)
        with pytest.raises(KeyboardInterrupt):
            gather_behind(atlas, "zoo:scenes", pictures, sentences, also=true, seeds=(0,))
        assert counted(atlas, "explanations") == 1
        gather_behind(atlas, "zoo:scenes", pictures, sentences, also=true, seeds=(0,))
        assert len(calls) == 3
    assert digest_at(tmp_path / "whole") == digest_at(tmp_path / "cut")


def test_a_pair_that_does_not_match_is_flagged():
    (one,) = mapped(reader().model.dual, [asked(1)[0][0].picture], ["a purple boat"], (0, 1))
    assert one.maps.shape == (2, 12, 12)
    assert not torch.equal(one.maps[0], one.maps[1])
    assert one.facts["flagged"]
    assert one.facts["warning"].endswith("what the map explains is hardly there")


def test_what_does_not_pair_up_is_refused(tmp_path):
    with Atlas(tmp_path, write=True) as atlas:
        with pytest.raises(BadInput) as caught:
            gather_behind(atlas, "zoo:scenes", [], [])
        assert str(caught.value) == (
            "concepts behind maps need a sentence for each picture; it got 0 pictures, 0 sentences "
            "and 0 lists of other words."
        )
        with pytest.raises(BadInput) as wrong:
            gather_behind(atlas, "zoo:scenes", asked(1)[0], ["a"], seeds=(1, 1))
        assert str(wrong.value) == (
            "maps are fitted with one seed or more, all different; it got [1, 1]."
        )


def test_scenes_are_told_by_what_fits_one_thing_only():
    for one in told_scenes(6):
        assert one.sentence.split()[1:] == [*one.true[:2]]
        assert one.shown.caption.count(one.true[1]) >= 1
    known = {t for one in told_scenes(4, {"ring"}) for t in one.true}
    assert "ring" in known
    assert opened(reader().model.dual) is reader().model.dual
