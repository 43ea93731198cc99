"""What nobody points at is swept, and what an atlas says stays as it is."""

import pytest
import torch

from legenda.atlas.corrections import rename
from legenda.atlas.digest import content_digest
from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.evidence import put_evidence
from legenda.atlas.gc import Swept, sweep
from legenda.atlas.store import Atlas
from legenda.atlas.verify import verify
from legenda.atlas.write import put_result
from legenda.errors import Refused
from tests.atlas.made import made


@pytest.fixture
def atlas(tmp_path):
    with Atlas(made(tmp_path / "a"), write=True) as opened:
        yield opened


def sheet(number):
    return EvidenceEntry("sheet", {"x": torch.full((4,), float(number))})


def files(atlas):
    return {path for path in (atlas.folder / "tensors").rglob("*") if path.is_file()}


def test_a_tidy_atlas_is_left_alone(atlas):
    before = files(atlas)
    assert sweep(atlas) == Swept(0, 0, 0, 0)
    assert files(atlas) == before and len(before) == 14


def test_unused_evidence_and_litter_are_swept(atlas):
    rename(atlas, 2, "mine")
    before, digest = files(atlas), content_digest(atlas)
    put_evidence(atlas, [sheet(1), sheet(2)])
    litter = atlas.folder / "tensors" / "zz" / "half.writing"
    litter.parent.mkdir()
    litter.write_bytes(b"12345")
    size = sum(path.stat().st_size for path in files(atlas) - before)
    assert sweep(atlas, dry=True) == Swept(2, 1, 1, size)
    assert len(files(atlas)) == len(before) + 2 and litter.exists()
    assert sweep(atlas) == Swept(2, 1, 1, size)
    assert files(atlas) == before and not litter.parent.exists()
    assert content_digest(atlas) == digest and verify(atlas) == []
    assert atlas.value("SELECT name FROM corrections") == "mine"
    assert sweep(atlas) == Swept(0, 0, 0, 0)


def test_a_file_stays_while_one_piece_of_it_is_used(atlas):
    used, _ = put_evidence(atlas, [sheet(1), sheet(2)])
    put_result(atlas, 1, "edit", "e", "", {"before": {"evidence": used}})
    before = files(atlas)
    assert sweep(atlas) == Swept(1, 0, 0, 0)
    assert files(atlas) == before
    assert atlas.arrays(used)["x"].tolist() == [1, 1, 1, 1]


def test_what_a_deleted_explanation_showed_is_swept(atlas):
    atlas.base.execute("DELETE FROM explanations WHERE key = 'm2ib 0'")
    found = sweep(atlas)
    assert (found.evidence, found.shards) == (1, 1) and verify(atlas) == []


def test_a_kill_between_entries_and_files_leaves_litter_only(atlas, monkeypatch):
    put_evidence(atlas, [sheet(1)])
    monkeypatch.setattr("legenda.atlas.gc.litter", lambda atlas: [])
    sweep(atlas)
    assert [one.damage for one in verify(atlas)] == [False]
    monkeypatch.undo()
    assert sweep(atlas).litter == 1
    assert verify(atlas) == []


def test_who_reads_may_only_look(atlas):
    with Atlas(atlas.folder) as reader:
        assert sweep(reader, dry=True) == Swept(0, 0, 0, 0)
        with pytest.raises(Refused, match="was opened to read"):
            sweep(reader)
