from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from legenda.atlas.store import Atlas, loaded
from legenda.core.interval import wilson
from legenda.errors import BadInput, Unsupported
from legenda.tasks.atlas_token_units import unit_of
from legenda.tasks.atlas_tokens import Proofs, TokenSettings, gather_tokens
from legenda.tasks.audit_groups import read_groups
from legenda.tasks.edit import put
from legenda.tasks.token_card import Share, TokenCard, TokenName
from legenda.tasks.token_naming import TokenNaming
from tests.tasks import token_world
from tests.tasks.atlas_world import VAE, VQ, counted, digest_at, labels_in
from tests.tasks.token_world import MEANT, NEVER, SPECKLES, VOCABULARY, WORDS, dual, extractor

HOW = TokenSettings(drawn=24, named=24, exemplars=2, pictures=6, masked=12, counts=(4, 16), draws=2, top=5)  # fmt: skip # noqa: E501


def judge(x):
    """Sees by day what is red and by night what is blue; it knows no token."""
    return torch.stack([x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2))], 1)


def edit(model, _):
    """The first picture with its first four cells made of token 5."""
    return put(model, model.pixels([token_world.painted(token_world.grids(1)[0][0])]), 5, 1, range(4), {"sight": judge})  # fmt: skip # noqa: E501


def groups_in(folder):
    """Days and nights, some of them held out."""
    tokens, labels = token_world.grids(60, 3)
    lines = ["image,group,part"]
    (folder / "groups").mkdir()
    for row, (grid, label) in enumerate(zip(tokens, labels, strict=True)):
        token_world.painted(grid).save(folder / "groups" / f"{row}.png")
        lines.append(f"{row}.png,{label},{'training' if row < 30 else 'reference'}")
    (folder / "groups.csv").write_text("\n".join(lines))
    return read_groups(folder / "groups.csv", folder / "groups")


def gathered(place, labels, **options):
    given: dict[str, Any] = {"concepts": extractor(), "settings": HOW, **options}
    with Atlas(place, write=True) as atlas:
        return gather_tokens(atlas, VQ, labels, **given)


def whole(folder):
    """All options of a study with everything in it."""
    proofs = Proofs({"sight": judge}, ("day", "night"), groups_in(folder), edit, "a toy picture")
    return {"proofs": proofs, "naming": TokenNaming(dual(), VOCABULARY, side=3, crops=8)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    gathered(folder / "a", labels_in(folder), **whole(folder), settings=replace(HOW, epochs=1))
    return folder / "a"


def test_every_entry_is_a_unit(made):
    with Atlas(made) as atlas:
        units = {u["number"]: u for u in atlas.all("SELECT * FROM units")}
        assert sorted(units) == list(range(24)) and units[0]["label"] == "token 0"
        dead = [n for n, u in units.items() if u["state"] == "dead"]
        assert dead == [NEVER]
        assert units[NEVER]["why"] == "none of 2,560 cells of 40 pictures holds it"
        assert units[NEVER]["score"] is None
        row = atlas.one("SELECT s.kind, s.dictionary, s.card, m.site FROM sets s JOIN models m ON m.id = s.model")  # fmt: skip # noqa: E501
        assert row is not None and (row["kind"], row["dictionary"], row["site"]) == ("token", "codebook", "tokens")  # fmt: skip # noqa: E501
        assert loaded(row["card"])["asked"] == "light"


def test_tokens_that_mean_a_word_have_its_name(made):
    with Atlas(made) as atlas:
        units = {u["number"]: u for u in atlas.all("SELECT * FROM units")}
        named = [n for n in range(MEANT) if units[n]["state"] == "named"]
        assert len(named) >= 8 and all(units[n]["name"] == WORDS[n] for n in named)
        speckled = [units[n] for n in range(MEANT, MEANT + SPECKLES)]
        silent = [u for u in speckled if u["state"] == "abstained"]
        assert len(silent) >= 9 and all(u["why"] and not u["name"] for u in silent)
        sure = [units[n] for n in named if units[n]["certainty"] is not None]
        assert sure and all(u["low"] <= u["certainty"] <= u["high"] for u in sure)


def test_importance_stands_beside_that_of_all_cells(made):
    with Atlas(made) as atlas:
        rows = {r["number"]: r for r in atlas.all("SELECT s.*, u.number, u.score FROM scores s JOIN explanations e ON e.id = s.explanation JOIN units u ON u.id = e.unit WHERE s.name = 'token importance'")}  # fmt: skip # noqa: E501
        assert sorted(rows) == [n for n in range(24) if n != NEVER]
        for one in rows.values():
            assert one["value"] == one["score"] and one["low"] <= one["value"] <= one["high"]
            assert one["n"] <= 40
        assert rows[0]["value"] > rows[0]["control"]  # what a day is told by
        assert rows[0]["value"] > rows[5]["value"]


def test_exemplars_lie_where_the_token_stands(made):
    tokens = token_world.grids(40)[0]
    with Atlas(made) as atlas:
        unit = atlas.one("SELECT id FROM units WHERE number = 0")
        assert unit is not None
        rows = atlas.all("SELECT x.*, p.source FROM exemplars x JOIN pictures p ON p.id = x.picture WHERE x.unit = ? ORDER BY x.place", unit["id"])  # fmt: skip # noqa: E501
        maps = atlas.arrays(rows[0]["evidence"])["maps"]
        facts = loaded(atlas.value("SELECT facts FROM evidence WHERE id = ?", rows[0]["evidence"]))
        assert tuple(maps.shape) == (2, 8, 8) and len(rows) == 2
        assert facts["unit"] == "importance" and facts["frames"] == [[0.0, 0.0, 96.0, 96.0]] * 2
        for row, drawn in zip(rows, maps, strict=True):
            held = tokens[int(row["source"].removesuffix(".png"))] == 0
            assert (drawn.flatten()[torch.from_numpy(~held)] == 0).all()
            assert row["strength"] == pytest.approx(float(drawn.max()))


def test_pictures_are_read_as_tokens(made):
    tokens = token_world.grids(40)[0]
    with Atlas(made) as atlas:
        rows = atlas.all("SELECT r.evidence, p.source, p.width FROM readings r JOIN pictures p ON p.id = r.picture")  # fmt: skip # noqa: E501
        assert len(rows) >= 6
        for row in rows:
            arrays = atlas.arrays(row["evidence"])
            assert arrays["index"][:, 0].tolist() == tokens[int(row["source"].removesuffix(".png"))].tolist()  # fmt: skip # noqa: E501
            assert (arrays["weight"] == 1).all() and row["width"] == 96


def test_a_token_is_seen_decoded(made):
    with Atlas(made) as atlas:
        row = atlas.one("SELECT e.evidence, v.facts FROM explanations e JOIN evidence v ON v.id = e.evidence JOIN units u ON u.id = e.unit WHERE u.number = 7")  # fmt: skip # noqa: E501
        assert row is not None
        images = atlas.arrays(row["evidence"])["images"]
        assert images.dtype == torch.uint8 and tuple(images.shape) == (2, 3, 48, 48)
        assert loaded(row["facts"])["captions"] == ["token 7 decoded alone", "token 7 decoded among others"]  # fmt: skip # noqa: E501
        colour = torch.tensor(token_world.COLOURS[7])
        assert (images[0].flatten(1).float().mean(1) - colour).abs().max() < 3


def test_company_is_told_once_with_its_interval(made):
    with Atlas(made) as atlas:
        rows = atlas.all("SELECT * FROM relations")
        assert rows and all(r["kind"] == "co-occurs" and r["one"] < r["other"] for r in rows)
        assert all(1 < r["low"] <= r["value"] <= r["high"] for r in rows)
        assert loaded(rows[0]["facts"]) == {"measure": "lift", "pictures": 40}


def test_masking_what_matters_hurts_more_than_masking_by_lot(made):
    with Atlas(made) as atlas:
        held = loaded(atlas.value("SELECT content FROM results WHERE kind = 'faithfulness'"))
        own, control = held["curves"]
        assert own["x"] == [0, 4 / 64, 16 / 64] and own["n"] == control["n"] == 12
        assert (own["control"], control["control"]) == (False, True)
        assert own["y"][0] == control["y"][0] and 0 < own["y"][0] < 1
        assert own["low"][1] <= own["y"][1] <= own["high"][1]
        line = held["table"][0]
        assert line["name"] == "tis, sight" and line["system"] == "CORTEX"
        assert line["low"] <= line["value"] <= line["high"]
        assert held["better"] == "lower"
        for name, one in (("value", own), ("control", control)):
            assert line[name] == pytest.approx(np.mean(one["y"][1:]))


def test_an_audit_has_a_question_and_what_was_found(made):
    with Atlas(made) as atlas:
        held = loaded(atlas.value("SELECT content FROM results WHERE kind = 'audit'"))
        assert held["groups"] == ["day", "night"]
        assert held["question"].startswith("which tokens does the model follow")
        assert held["flagged"] == len(held["findings"]) and held["accuracy_n"] > 0


def test_an_edit_has_its_pictures_and_judges(made):
    with Atlas(made) as atlas:
        held = loaded(atlas.value("SELECT content FROM results WHERE kind = 'edit'"))
        for name in ("picture", "before", "after"):
            assert atlas.value("SELECT count(*) FROM pictures WHERE id = ?", held[name]) == 1
        assert held["before"] != held["after"] and held["cells"] == 4 and held["grid"] == [8, 8]
        one = held["judges"][0]
        assert one["control_low"] <= one["control"] <= one["control_high"] and one["n"] == 16
        assert atlas.value("SELECT caption FROM pictures WHERE id = ?", held["after"]) == "a toy picture: after, decoded"  # fmt: skip # noqa: E501


def test_nulls_are_crops_by_lot(made):
    with Atlas(made) as atlas:
        held = loaded(atlas.value("SELECT content FROM results WHERE kind = 'nulls'"))
        assert held["kind"] == "token" and held["alpha"] == pytest.approx(0.05)
        assert held["low"] <= held["silent"] <= held["high"] and held["silent"] > 0.7
        named = atlas.value("SELECT count(*) FROM units WHERE state = 'named'")
        assert held["coverage"] == pytest.approx(named / held["n"])
        assert (held["coverage_low"], held["coverage_high"]) == pytest.approx(wilson(named, held["n"]))  # fmt: skip # noqa: E501


def test_the_same_twice_is_the_same_and_costs_nothing(made, tmp_path, monkeypatch):
    options = {**whole(tmp_path), "settings": replace(HOW, epochs=1)}
    labels = labels_in(tmp_path)
    study = gathered(tmp_path / "b", labels, **options)
    assert digest_at(tmp_path / "b") == digest_at(made)
    monkeypatch.setattr("legenda.tasks.atlas_tokens.tokens_of", None)
    assert gathered(tmp_path / "b", labels, **options) == study


def test_one_that_was_stopped_goes_on_from_its_pieces(tmp_path, monkeypatch):
    labels = labels_in(tmp_path)
    stop = partial(gathered, tmp_path / "b", labels, work=tmp_path / "work")
    with monkeypatch.context() as patch:
        patch.setattr("legenda.tasks.atlas_tokens.put_tokens", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stop()
    assert not (tmp_path / "b").exists(), "a new atlas with nothing in it is taken away"
    with monkeypatch.context() as patch:
        patch.setattr("legenda.tasks.token_survey.importance", lambda *_: 1 / 0)
        stop()
    gathered(tmp_path / "c", labels)
    assert digest_at(tmp_path / "b") == digest_at(tmp_path / "c")


def test_without_names_and_proofs_there_are_cards(tmp_path):
    labels = labels_in(tmp_path)
    (tmp_path / "pictures" / "3.png").write_bytes(b"no picture")
    gathered(tmp_path / "b", labels)
    with Atlas(tmp_path / "b") as atlas:
        assert not counted(atlas, "results")
        assert atlas.value("SELECT count(*) FROM units WHERE state = 'unread'") == 23
        assert "3.png" in atlas.value("SELECT reason FROM failures")


def test_a_judge_has_to_know_the_classes(tmp_path):
    with pytest.raises(BadInput) as caught:
        gathered(tmp_path / "b", labels_in(tmp_path), proofs=Proofs({"sight": judge}, ("day",)))
    assert str(caught.value) == (
        "judges of the masked pictures know 1 classes, and not 'night'. Name theirs in their "
        "order, or leave the judges out."
    )


def test_bad_input_is_told(tmp_path):
    with Atlas(tmp_path / "b", write=True) as atlas, pytest.raises(Unsupported) as caught:
        gather_tokens(atlas, VAE, labels_in(tmp_path))
    assert str(caught.value) == (
        "a survey of tokens needs a model with a codebook; tests.tasks.atlas_world:vae has none. "
        "Gather latents of a VAE, or concepts of an encoder."
    )
    with pytest.raises(BadInput) as other:
        TokenSettings(masked=1)
    assert str(other.value) == "masked of a survey of tokens is 2 or more; it got 1."


def test_a_name_without_a_check_has_no_certainty():
    card = TokenCard(3, 5, 0.1, Share(0.2, (0.1, 0.3), 9), 2, None, (), (), (), None, ())
    unit = unit_of(1, card, TokenName("sky", "a person"), 50, 9)
    assert (unit.state, unit.said, unit.certainty) == ("named", "sky", None)
    assert unit_of(1, card, TokenName(None, "m"), 50, 9).why == "no word stands out"
    assert unit_of(1, card, None, 50, 9).state == "unread"
