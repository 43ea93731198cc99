import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from legenda.atlas.corrections import rename
from legenda.atlas.entries import UnitEntry
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_model, put_set, put_units
from legenda.describe.token_names import Crops
from legenda.describe.unit_vectors import UnitEvidence, VanillaNaming
from legenda.errors import BadInput
from legenda.score.null_names import NullNames, Sureness
from legenda.tasks.atlas_models import model_entry, set_entry
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.union_names import Kind, gather_names, same
from legenda.tasks.union_sureness import Candidates, of_concepts, of_moved, of_tokens
from tests.tasks import latent_world, token_world
from tests.tasks.atlas_world import counted, digest_at
from tests.tasks.latent_world import ACROSS, NOTHING, SIZE, discs
from tests.tasks.token_world import MEANT, VOCABULARY, WIDTH, rows


def words():
    """The words of the toy world, the first of which tokens mean."""
    return torch.cat([rows(MEANT, 0), rows(len(VOCABULARY) - MEANT, 50)])


def crops(each=6, seed=0):
    """Crops of twenty-four tokens: twelve that mean a word, eleven mean nothing, one has none."""
    lot = torch.Generator().manual_seed(seed)
    meant = torch.cat([rows(MEANT, 0), torch.zeros(11, WIDTH)])
    token = torch.arange(23).repeat_interleave(each)
    noise = 0.25 * torch.randn(len(token), WIDTH, generator=lot)
    return Crops(normalize(meant[token] + noise, dim=1), token)


def test_planted_tokens_that_mean_a_word_are_named_by_it_and_others_are_not():
    made = of_tokens(crops(), 24, VOCABULARY, words())
    found = NullNames()({"token": made.sureness})["token"]
    assert found.named[:MEANT].all()
    assert [made.words[i][0] for i in range(MEANT)] == list(VOCABULARY.words[:MEANT])
    assert int(found.named[MEANT:].sum()) <= 2
    assert made.words[23] == ()
    assert math.isnan(float(made.sureness.units[23]))
    assert found.silent.value > 0.9


def test_planted_concepts_that_point_to_a_word_are_named_by_it():
    lot = torch.Generator().manual_seed(3)
    noise = normalize(torch.randn(40, WIDTH, generator=lot), dim=1)
    atoms = torch.cat([rows(MEANT, 0), noise])
    made = of_concepts(UnitEvidence(atoms), VOCABULARY, words(), VanillaNaming())
    found = NullNames()({"concept": made.sureness})["concept"]
    assert found.named[:MEANT].all()
    assert [made.words[i][0] for i in range(MEANT)] == list(VOCABULARY.words[:MEANT])
    assert int(found.named[MEANT:].sum()) <= 6
    assert made.sureness.of == "score of the nearest word"


def test_planted_latents_are_named_by_what_they_move():
    how = LatentSettings(**latent_world.SMALL)
    made = of_moved(discs(), how, only=[ACROSS, SIZE, NOTHING])
    found = NullNames()({"latent": made.sureness})["latent"]
    assert found.named.tolist() == [True, True, False]
    assert made.words[1][0].startswith("size")
    assert made.words[2] == ()
    assert set(made.sureness.nulls) == {"shuffled sheets", "constant sheets"}
    assert found.silent.value > 0.9


def sure(values, words, by="toy"):
    lot = torch.Generator().manual_seed(0)
    nulls = {"lots": torch.rand(100, generator=lot).double()}
    sureness = Sureness(torch.tensor(values, dtype=torch.float64), nulls, "score")
    return Candidates(sureness, tuple(range(len(values))), tuple(words), by)


def atlas_of(place, entries):
    """An atlas with five tokens, of which is told what is said of them."""
    atlas, vq = Atlas(place, write=True), token_world.model()
    set_id = put_set(atlas, set_entry(put_model(atlas, model_entry(vq)), vq.codebook, "token"))
    ids = put_units(atlas, [UnitEntry(set_id, i, f"token {i}", *one) for i, one in enumerate(entries)])  # fmt: skip # noqa: E501
    return atlas, dict(enumerate(ids))


STATES = [
    ("unread",), ("unread",), ("named", "sky"), ("abstained", "", "no check"), ("named", "loud"),
    ("dead", "", "never seen"),
]  # fmt: skip
NAMES = [("sea", "sky"), ("noise",), ("sky",), ("tree",), ("other",), ()]
SURE = [2.0, 0.2, 0.1, 3.0, 0.3, math.nan]


def test_the_rule_names_the_unread_and_silences_what_was_named_so(tmp_path):
    atlas, ids = atlas_of(tmp_path, STATES)
    with atlas:
        gather_names(atlas, {"token": Kind(sure(SURE, NAMES), ids, "toy")})
        rows = {r["number"]: r for r in atlas.all("SELECT * FROM units")}
        states = [rows[i]["state"] for i in range(6)]
        assert states == ["named", "abstained", "abstained", "abstained", "named", "dead"]
        assert rows[0]["name"] == "sea"
        assert rows[2]["name"] == ""
        assert rows[2]["why"].startswith("its name is no surer than names of nothing: score 0.1,")
        assert rows[3]["why"] == "no check"
        assert rows[4]["name"] == "loud"  # a name of other evidence
        assert loaded(rows[3]["facts"])["sureness"] == 3.0
        said = atlas.all(
            "SELECT d.* FROM descriptions d JOIN explanations x ON x.id = d.explanation "
            "WHERE x.unit = ? ORDER BY place", ids[0])  # fmt: skip
        assert [d["text"] for d in said] == ["sea", "sky"]
        assert counted(atlas, "explanations") == 5


def test_a_persons_name_stands_above_the_rule(tmp_path):
    atlas, ids = atlas_of(tmp_path, STATES)
    with atlas:
        rename(atlas, ids[1], "my token")
        gather_names(atlas, {"token": Kind(sure(SURE, NAMES), ids, "toy")})
        row = atlas.one("SELECT * FROM units WHERE id = ?", ids[1])
        assert (row["name"], row["state"], row["said"]) == ("my token", "named", "")
        assert atlas.value("SELECT state FROM corrections") == "abstained"


def test_one_table_says_of_every_kind_how_silent_the_rule_is(tmp_path):
    atlas, ids = atlas_of(tmp_path, STATES)
    with atlas:
        kinds = {"token": Kind(sure(SURE, NAMES), ids, "toy"), "concept": Kind(sure(SURE, NAMES, "b"), ids, "b")}  # fmt: skip # noqa: E501
        study = gather_names(atlas, kinds, alpha=0.1)
        query = "SELECT kind, key, content FROM results WHERE study = ? ORDER BY id"
        rows = atlas.all(query, study)
        assert [(r["kind"], r["key"]) for r in rows] == [("nulls", "token"), ("nulls", "concept")]
        found = loaded(rows[0]["content"])
        assert found["alpha"] == 0.1
        assert found["n"] == 100
        assert found["low"] < found["silent"] < found["high"]
        assert found["coverage"] == pytest.approx(2 / 6)
        assert found["coverage_low"] < found["coverage"] < found["coverage_high"]
        assert found["holds"]


def test_what_makes_names_is_asked_once_where_their_identity_is_told(tmp_path):
    atlas, ids = atlas_of(tmp_path / "a", STATES)
    other, twin = atlas_of(tmp_path / "b", STATES)
    calls = []

    def kinds(rows=ids):
        calls.append(1)
        return {"token": Kind(sure(SURE, NAMES), rows, "toy")}

    with atlas, other:
        one = gather_names(atlas, kinds, identity={"of": "toys"})
        assert gather_names(atlas, kinds, identity={"of": "toys"}) == one
        assert len(calls) == 1
        gather_names(other, lambda: kinds(twin), identity={"of": "toys"})
    assert digest_at(tmp_path / "a") == digest_at(tmp_path / "b")


def test_names_of_units_that_are_not_there_are_refused(tmp_path):
    atlas, ids = atlas_of(tmp_path, STATES)
    with atlas, pytest.raises(BadInput) as caught:
        gather_names(atlas, {"token": Kind(sure(SURE, NAMES), {0: ids[0]}, "toy")})
    assert str(caught.value) == (
        "names of tokens are given to units of the atlas; it holds no token 1 of toy. Gather them "
        "first."
    )


def test_a_sentence_is_the_same_name_by_its_first_part():
    assert same("size, small to large", ("size, tiny to huge",))
    assert not same("hue, red to blue", ("size, tiny to huge",))
    assert np.isnan(SURE[-1])
