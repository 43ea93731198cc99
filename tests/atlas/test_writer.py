"""Explanations come to the disk within a second, once each, and by halves never."""

from dataclasses import replace

import pytest
import torch

from legenda.atlas import writer as module
from legenda.atlas.entries import EvidenceEntry, ExplanationEntry
from legenda.atlas.store import Atlas
from legenda.atlas.writer import Writer
from legenda.core.explanation import Score
from tests.atlas.children import entry, opened, state


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def count(atlas):
    return atlas.value("SELECT count(*) FROM explanations")


def test_what_comes_quickly_is_held_for_a_second(tmp_path, clock):
    atlas, study, units = opened(tmp_path / "a")
    writer = Writer(atlas, study)
    for i, (now, there) in enumerate([(0.1, 0), (0.5, 0), (0.99, 0), (1.0, 4), (1.5, 4), (2.1, 6)]):
        clock.now = 100 + now
        writer.add(entry(i, units[0]))
        assert count(atlas) == there, now
    assert atlas.value("SELECT count(*) FROM shards") == 2


def test_what_took_long_is_written_at_once(tmp_path, clock):
    atlas, study, units = opened(tmp_path / "a")
    writer = Writer(atlas, study)
    for i in range(3):
        clock.now += 5
        writer.add(entry(i, units[0]))
        assert count(atlas) == i + 1


def test_much_is_written_before_the_second_is_over(tmp_path, clock):
    atlas, study, units = opened(tmp_path / "a")
    writer = Writer(atlas, study, most=3000)  # a map takes 1024 bytes
    for i, there in enumerate([0, 0, 3, 3]):
        writer.add(entry(i, units[0]))
        assert count(atlas) == there


def test_the_same_is_written_once(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    for _ in range(2):
        with Writer(atlas, study) as writer:
            for i in (0, 1, 0, 1):
                writer.add(entry(i, units[0]))
    assert state(atlas) == {"explanations": 2, "described": 2, "evidence": 2, "damage": []}
    assert atlas.value("SELECT count(*) FROM shards") == 1


def test_what_another_wrote_meanwhile_is_not_doubled(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with Writer(atlas, study) as one, Atlas(tmp_path / "a", write=True) as second:
        one.add(entry(0, units[0]))
        with Writer(second, study) as other:
            other.add(entry(0, units[0]))
    assert state(atlas) == {"explanations": 1, "described": 1, "evidence": 1, "damage": []}


def test_of_what_is_held_no_other_evidence_is_written(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with Writer(atlas, study) as writer:
        writer.add(entry(0, units[0]))
    other = replace(entry(0, units[0]), evidence=entry(1).evidence)
    with Writer(atlas, study) as writer:
        writer.add(other)
    assert atlas.value("SELECT count(*) FROM evidence") == 1
    assert len(list((tmp_path / "a" / "tensors").rglob("*.safetensors"))) == 1


def test_equal_evidence_is_kept_once(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    shared = EvidenceEntry("attribution", {"map": torch.ones(4, 4)}, {"unit": "nats"})
    other = EvidenceEntry("attribution", {"map": torch.ones(4, 4)}, {"unit": "bits"})
    with Writer(atlas, study) as writer:
        for i, seen in enumerate([shared, shared, other, None]):
            writer.add(ExplanationEntry(f"k{i}", "t", "Made", units[0], None, seen))
    rows = atlas.all("SELECT evidence FROM explanations ORDER BY key")
    first, second, third, last = (row[0] for row in rows)
    assert first == second != third and last is None
    assert torch.equal(atlas.arrays(third)["map"], torch.ones(4, 4))


def test_descriptions_and_scores_go_with_their_explanation(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    score = Score("right", 0.9, (0.8, 1.0), 8, control=0.25, control_interval=(0.1, 0.4))
    bare = Score("cost", float("nan"), (float("nan"), float("nan")), 0, False, unit="s")
    with Writer(atlas, study) as writer:
        writer.add(ExplanationEntry("k", "t\0", "Made", units[0], scores=(score, bare)))
    rows = [tuple(row) for row in atlas.all("SELECT * FROM scores ORDER BY name DESC")]
    assert rows == [
        (1, "right", 0.9, 0.8, 1.0, 8, 1, 0.25, 0.1, 0.4, ""),
        (1, "cost", None, None, None, 0, 0, None, None, None, "s"),
    ]
    assert atlas.value("SELECT target FROM explanations") == "t\ufffd"


def test_an_error_in_between_loses_nothing_that_was_given(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with pytest.raises(RuntimeError, match="stop"), Writer(atlas, study) as writer:
        writer.add(entry(0, units[0]))
        raise RuntimeError("stop")
    assert count(atlas) == 1


def test_what_could_not_be_written_stays_held(tmp_path, monkeypatch):
    atlas, study, units = opened(tmp_path / "a")
    writer, kept = Writer(atlas, study), module.kept

    def full(*_):
        raise OSError("full")

    monkeypatch.setattr(module, "kept", full)
    writer.add(entry(0, units[0]))
    with pytest.raises(OSError, match="full"):
        writer.flush()
    assert count(atlas) == 0 and atlas.value("SELECT count(*) FROM descriptions") == 0
    monkeypatch.setattr(module, "kept", kept)
    writer.flush()
    assert count(atlas) == 1 and not writer.held


def test_a_key_that_no_text_holds_is_found_again(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    for _ in range(2):
        with Writer(atlas, study) as writer:
            writer.add(ExplanationEntry("k\0\ud800", "t", "by\0", units[0]))
    assert count(atlas) == 1 and "k\0\ud800" in atlas and "k" not in atlas


def test_many_are_written_before_the_second_is_over(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(module, "MANY", 3)
    atlas, study, units = opened(tmp_path / "a")
    writer = Writer(atlas, study)
    for i, there in enumerate([0, 0, 3, 3, 3, 6]):
        writer.add(entry(i, units[0]))
        assert count(atlas) == there


def test_a_key_that_came_after_we_looked_gets_no_second_description(tmp_path):
    atlas, study, units = opened(tmp_path / "a")
    with atlas, Writer(atlas, study) as writer:
        writer._write({"key 0": entry(0, units[0])})
        writer._write({"key 1": entry(1, units[0]), "key 0": entry(0, units[0])})
        said = "SELECT count(*) FROM descriptions"
        assert (count(atlas), atlas.value(said)) == (2, 2)
