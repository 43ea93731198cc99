"""Killed, starved or made to wait, an atlas stays whole, and going on ends in the same content."""

import json
import shutil
import subprocess
import time

import pytest

from legenda.atlas.digest import content_digest
from legenda.atlas.store import Atlas
from legenda.atlas.writer import Writer
from tests.atlas.children import entry, fill, opened, started, state


def test_a_killed_writer_leaves_no_half_and_its_rerun_the_same_content(tmp_path):
    fill(str(tmp_path / "whole"), "0", "60")
    counts = []
    for pause in ("0.005", "0.01"):
        with started("fill", tmp_path / "killed", 0, 60, 16, pause) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(0.2)
            child.kill()
        with Atlas(tmp_path / "killed") as atlas:
            found = state(atlas)
            assert found["damage"] == []
            assert found["explanations"] == found["described"] == found["evidence"]
            counts.append(found["explanations"])
    assert 0 < counts[0] <= counts[1] < 60, "it was killed in the middle of its work"
    fill(str(tmp_path / "killed"), "0", "60")
    with Atlas(tmp_path / "killed") as killed, Atlas(tmp_path / "whole") as whole:
        assert content_digest(killed) == content_digest(whole)
        assert state(killed) == state(whole)


def test_two_writers_at_once_write_everything(tmp_path):
    children = [started("fill", tmp_path / "a", first, 60, 16, 0.001) for first in (0, 30)]
    said = [child.communicate()[0] for child in children]
    assert said == ["ready\n"] * 2 and [child.returncode for child in children] == [0, 0]
    with Atlas(tmp_path / "a") as atlas:
        assert state(atlas) == {"explanations": 90, "described": 90, "evidence": 90, "damage": []}
    fill(str(tmp_path / "b"), "0", "90")
    with Atlas(tmp_path / "a") as a, Atlas(tmp_path / "b") as b:
        assert content_digest(a) == content_digest(b)


def test_the_second_writer_waits_for_the_first(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with started("hold", tmp_path / "a", 0.7) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        began = time.monotonic()
        with Writer(atlas, study) as writer:
            writer.add(entry(0, units[0]))
        waited = time.monotonic() - began
    assert child.returncode == 0
    assert 0.3 < waited < 30, waited
    assert state(atlas)["explanations"] == 1


def test_a_file_that_may_grow_no_more_ends_in_a_sentence(tmp_path):
    child = started("starve", tmp_path / "a", 300_000)
    lines = child.communicate()[0].splitlines()
    assert json.loads(lines[-1]) == {
        "error": f"{tmp_path / 'a'} could not be written: the disk is full. Make room and run "
        "again: what is there is kept."
    }
    with Atlas(tmp_path / "a") as atlas:
        found = state(atlas)
    assert found["damage"] == [] and 0 < found["explanations"] < 400
    assert found["explanations"] == found["described"] == found["evidence"]
    fill(str(tmp_path / "a"), "0", "30")
    with Atlas(tmp_path / "a") as atlas:
        assert state(atlas)["explanations"] == max(30, found["explanations"])


def may_mount() -> bool:
    """Whether a file system of its own may be made, in a namespace that ends with its process."""
    if shutil.which("unshare") is None:
        return False
    asked = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


mounts = pytest.mark.skipif(not may_mount(), reason="needs a file system of its own, as root has")


@mounts
def test_a_folder_that_is_really_read_only_is_read(tmp_path):
    fill(str(tmp_path / "a"), "0", "3")
    child = started("look", tmp_path / "a", before=("unshare", "-m"))
    found, error = map(json.loads, child.communicate()[0].splitlines())
    assert found == {"explanations": 3, "described": 3, "evidence": 3, "damage": []}
    assert error == {
        "error": f"{tmp_path / 'a'} cannot be written. Choose a folder that you may change, or "
        "copy it."
    }
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["atlas.db", "tensors"]


@mounts
def test_a_read_only_folder_whose_writer_was_killed_says_what_to_do(tmp_path):
    with started("hold", tmp_path / "a", 60) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        child.kill()
    assert (tmp_path / "a" / "atlas.db-wal").stat().st_size, "its log is not yet in the database"
    (tmp_path / "a" / "atlas.db-shm").unlink()
    child = started("look", tmp_path / "a", before=("unshare", "-m"))
    read, _ = map(json.loads, child.communicate()[0].splitlines())
    assert read == {
        "error": f"{tmp_path / 'a'} was left in the middle of writing, and the last of it lies in "
        "atlas.db-wal, which is read only where the folder may be changed. Copy the folder, and "
        "read the copy."
    }
    with Atlas(tmp_path / "a") as atlas:
        assert state(atlas)["damage"] == []


@mounts
def test_a_full_disk_ends_in_a_sentence_and_opens_all_the_same(tmp_path):
    child = started("drown", tmp_path / "disk", "2m", before=("unshare", "-m"))
    lines = [json.loads(one) for one in child.communicate()[0].splitlines() if one[0] == "{"]
    error, full, after = lines
    where = f"{tmp_path / 'disk' / 'atlas'}"
    assert error["error"].startswith(where)
    assert error["error"].endswith(
        (
            "could not be written: No space left on device. Make room there, or choose another "
            "folder.",
            "could not be written: the disk is full. Make room and run again: what is there is "
            "kept.",
        )
    )
    assert full["damage"] == [] and 0 < full["explanations"] < 20
    assert full["explanations"] == full["described"] == full["evidence"]
    assert after == {"explanations": 20, "described": 20, "evidence": 20, "damage": []}
