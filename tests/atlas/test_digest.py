"""The digest is of what an atlas says, and of nothing else."""

import pytest
import torch

from legenda.atlas.corrections import rename
from legenda.atlas.digest import TABLES, content_digest, digests
from legenda.atlas.entries import (
    EvidenceEntry,
    ModelEntry,
    PictureEntry,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.references import named, pointers, repointed
from legenda.atlas.store import Atlas
from legenda.atlas.verify import TABLES as ALL
from legenda.atlas.write import (
    end_study,
    put_exemplars,
    put_failure,
    put_model,
    put_picture,
    put_reading,
    put_result,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from tests.atlas.children import entry, opened
from tests.atlas.made import encoded, made

CHANGES = {
    "models": "UPDATE models SET revision = '2' WHERE id = 1",
    "sets": "UPDATE sets SET size = 9 WHERE id = 1",
    "units": "UPDATE units SET why = 'another' WHERE id = 2",
    "corrections": "INSERT INTO corrections VALUES (1, 'size, small to large', 'me', '', 'named')",
    "pictures": "UPDATE pictures SET caption = 'another' WHERE id = 1",
    "studies": "UPDATE studies SET title = 'another' WHERE id = 1",
    "explanations": "UPDATE explanations SET unit = 3 WHERE id = 2",
    "descriptions": "UPDATE descriptions SET certainty = 0.61 WHERE place = 1 AND explanation = 1",
    "scores": "UPDATE scores SET n = 9 WHERE explanation = 1",
    "exemplars": "UPDATE exemplars SET strength = 0.5 WHERE unit = 4 AND place = 0",
    "relations": "UPDATE relations SET n = 7 WHERE id = 1",
    "readings": "UPDATE readings SET evidence = 8 + (evidence - 7) % 6",
    "failures": "UPDATE failures SET reason = 'another'",
    "results": "UPDATE results SET title = 'another' WHERE id = 1",
    "evidence": "UPDATE evidence SET kind = 'another' WHERE id = 1",
}
SILENT = {
    "when": "UPDATE studies SET began = '1', ended = '2', seconds = 3",
    "when a person said so": "UPDATE corrections SET at = 'later'",
    "how often it failed": "UPDATE failures SET tries = 9, at = 'later'",
    "which file": "UPDATE evidence SET entry = 'elsewhere' WHERE id = 1",
    "row numbers": "UPDATE results SET id = id + 100",
}


def digest_after(folder, statement):
    """The digest of a small atlas in which one thing is changed."""
    with Atlas(made(folder), write=True) as atlas:
        rename(atlas, 3, "mine", "me", "now")
        before = digests(atlas)
        atlas.base.execute(statement)
        after = digests(atlas)
    return {table for table in before if before[table] != after[table]}


@pytest.mark.parametrize("table", CHANGES)
def test_every_change_of_content_is_seen_in_its_table(tmp_path, table):
    assert digest_after(tmp_path / "a", CHANGES[table]) == {table}


UNSAID = {
    "began", "ended", "seconds", "at", "tries", "shard", "entry", "data", "id", "explanation",
    "study", "set_id", "model", "unit", "picture", "evidence", "one", "other",
}  # fmt: skip
"""Times, files, bytes that a digest stands for, and numbers of rows, which `CHANGES` turns."""
OTHERWISE = {
    "state": "CASE state WHEN 'dead' THEN 'unread' ELSE 'dead' END",
    ("sets", "kind"): "CASE kind WHEN 'token' THEN 'neuron' ELSE 'token' END",
    "higher_is_better": "1 - higher_is_better",
}
JSON = ("card", "facts", "settings", "provenance", "content")


def test_every_column_that_says_something_is_seen(tmp_path):
    missed = []
    with Atlas(made(tmp_path / "a"), write=True) as atlas:
        rename(atlas, 3, "mine", "me", "now")
        whole = digests(atlas)
        for table in CHANGES:
            for _, column, kind, *_ in atlas.all(f"PRAGMA table_info({table})"):
                if column in UNSAID:
                    continue
                more = f"coalesce({column}, 0) + 100"
                if kind == "TEXT":
                    more = """'{"x":1}'""" if column in JSON else f"{column} || 'x'"
                more = OTHERWISE.get((table, column), OTHERWISE.get(column, more))
                atlas.base.execute("BEGIN")
                atlas.base.execute(f"UPDATE {table} SET {column} = {more}")
                missed += [] if digests(atlas)[table] != whole[table] else [f"{table}.{column}"]
                atlas.base.execute("ROLLBACK")
        assert digests(atlas) == whole
    assert missed == []


@pytest.mark.parametrize("statement", SILENT.values(), ids=SILENT.keys())
def test_what_is_not_content_is_not_seen(tmp_path, statement):
    assert digest_after(tmp_path / "a", statement) == set()


def test_no_table_is_left_out():
    unseen = {"shards", "tallies", *(table for table in ALL if table.startswith("words"))}
    assert {*TABLES, "evidence", "results"} == set(ALL) - unseen == set(CHANGES)


def written(folder, order):
    """Three units with a picture and a finding each, written in some order."""
    with Atlas(folder, write=True) as atlas:
        for i in order:
            model = put_model(atlas, ModelEntry(f"made:{i % 2}", "model"))
            found = put_set(atlas, SetEntry(model, "latents", "latent", 3))
            unit = put_units(atlas, [UnitEntry(found, i, f"latent {i}", "named", f"n{i}")])[0]
            seen = put_picture(
                atlas, PictureEntry(f"p{i}", "", 48, 48, "image/webp", encoded(i))
            )  # fmt: skip
            codes = EvidenceEntry("codes", {"index": torch.full((2, 1), i)})
            evidence = put_evidence(atlas, [codes])[0]
            put_exemplars(atlas, unit, [(seen, 1.0)], evidence)
            put_reading(atlas, seen, found, evidence)
            study = put_study(atlas, StudyEntry("made", "", {"seed": i % 2}))
            with Writer(atlas, study) as writer:
                writer.add(entry(i, unit))
            put_result(
                atlas, study, "audit", f"r{i}", "", {"findings": [{"unit": unit, "n": unit}]}
            )
            put_failure(atlas, study, f"t{i}", "why")
            end_study(atlas, study, float(i))
        return content_digest(atlas)


def test_the_order_of_writing_changes_nothing(tmp_path):
    digest = written(tmp_path / "0", (0, 1, 2))
    with Atlas(tmp_path / "0") as atlas:
        content = atlas.value("SELECT content FROM results WHERE key = 'r2'")
    assert content == '{"findings":[{"n":3,"unit":3}]}'
    assert written(tmp_path / "again", (0, 1, 2, 0, 1, 2)) == digest
    assert written(tmp_path / "other", (0, 1)) != digest


def test_row_numbers_of_a_result_are_names(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        found = repointed('{"x":[{"unit":1,"picture":2}],"unit":"nats","pictures":6}', named(atlas))
        digest = atlas.value("SELECT digest FROM pictures WHERE id = 2")
        assert found == (
            '{"pictures":6,"unit":"nats","x":[{"picture":["' + digest + '"],'
            '"unit":["zoo:vae","latents","' + "aa" * 16 + '","latents","' + "cc" * 16 + '",0]}]}'
        )
        assert repointed('{"unit":999}', named(atlas)) == '{"unit":999}'
    assert list(pointers({"a": [{"unit": 3}, {"unit": True}], "evidence": 4})) == [
        ("unit", 3), ("evidence", 4),
    ]  # fmt: skip


def test_evidence_that_nobody_points_at_says_nothing(tmp_path):
    atlas = opened(tmp_path / "a")[0]
    before = content_digest(atlas)
    put_evidence(atlas, [EvidenceEntry("sheet", {"x": torch.ones(1)})])
    assert content_digest(atlas) == before
    put_result(atlas, 1, "edit", "e", "", {"evidence": 1})
    changed = content_digest(atlas)
    assert changed != before
    atlas.base.execute("UPDATE evidence SET kind = 'other'")
    assert content_digest(atlas) != changed
