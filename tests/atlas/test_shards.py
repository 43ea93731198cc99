"""Tensors come back bit by bit, and a damaged file is named."""

import hashlib

import pytest
import torch

from legenda.atlas.entries import EvidenceEntry
from legenda.atlas.evidence import evidence_key, put_evidence
from legenda.atlas.keys import digest_of, key_of
from legenda.atlas.shards import entries_of, place_of, read_entry, sound, write_shard
from legenda.errors import BadInput, Missing
from tests.atlas.children import opened

ARRAYS = {
    "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
    "bytes": torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3),
    "empty": torch.zeros(0, 4),
    "one": torch.tensor(7, dtype=torch.int64),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}


def test_tensors_of_every_kind_come_back(tmp_path):
    digest, size = write_shard(tmp_path, {"a": ARRAYS, "b": {"half": torch.ones(1)}})
    found = read_entry(tmp_path, digest, "a")
    assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in ARRAYS.items()}
    assert all(torch.equal(found[n], v) for n, v in ARRAYS.items())
    assert list(read_entry(tmp_path, digest, "b")) == ["half"]
    place = place_of(tmp_path, digest)
    assert place.stat().st_size == size and place.parent.name == digest[:2]
    assert hashlib.sha256(place.read_bytes()).hexdigest() == digest and sound(tmp_path, digest)
    assert entries_of(tmp_path, digest) == {"a", "b"}


def test_the_same_content_is_the_same_file(tmp_path):
    one, two = (write_shard(tmp_path, {"a": ARRAYS})[0] for _ in range(2))
    assert one == two and len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert write_shard(tmp_path, {"a": {"one": torch.ones(1)}})[0] != one


def test_keys_tell_kind_facts_types_and_shapes_apart():
    entries = [
        EvidenceEntry("sheet", {"x": torch.zeros(2, 2)}),
        EvidenceEntry("codes", {"x": torch.zeros(2, 2)}),
        EvidenceEntry("sheet", {"y": torch.zeros(2, 2)}),
        EvidenceEntry("sheet", {"x": torch.zeros(4)}),
        EvidenceEntry("sheet", {"x": torch.zeros(2, 2, dtype=torch.int32)}),
        EvidenceEntry("sheet", {"x": torch.zeros(2, 2)}, {"a": 1}),
        EvidenceEntry("sheet", {"x": torch.ones(2, 2)}),
    ]
    assert len(set(map(evidence_key, entries))) == len(entries)
    grid = torch.arange(6.0).reshape(2, 3)
    assert digest_of({"x": grid.T}) == digest_of({"x": grid.T.contiguous()})
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})


def test_evidence_is_found_again(tmp_path):
    atlas = opened(tmp_path / "a")[0]
    entries = [EvidenceEntry("sheet", {"x": torch.full((2,), float(i % 3))}) for i in range(5)]
    ids = put_evidence(atlas, entries)
    assert ids[0] == ids[3] and ids[1] == ids[4] and len(set(ids)) == 3
    assert put_evidence(atlas, entries[::-1]) == ids[::-1]
    assert [atlas.arrays(i)["x"][0].item() for i in ids[:3]] == [0, 1, 2]
    assert put_evidence(atlas, []) == []


def test_a_lost_file_is_named(tmp_path):
    digest, _ = write_shard(tmp_path, {"a": ARRAYS})
    place_of(tmp_path, digest).unlink()
    with pytest.raises(Missing) as caught:
        read_entry(tmp_path, digest, "a")
    assert str(caught.value) == (
        f"{digest}.safetensors of the atlas {tmp_path} is not there. Bring the folder back whole; "
        "`legenda atlas verify` lists what is lost."
    )
    assert not sound(tmp_path, digest)


@pytest.mark.parametrize("left", [0, 4, 100, -1], ids="{} bytes left".format)
def test_a_file_cut_short_is_named(tmp_path, left):
    digest, _ = write_shard(tmp_path, {"a": ARRAYS})
    place = place_of(tmp_path, digest)
    place.write_bytes(place.read_bytes()[:left])
    with pytest.raises(BadInput) as caught:
        read_entry(tmp_path, digest, "a")
    said = str(caught.value)
    assert said.startswith(f"{digest}.safetensors of the atlas {tmp_path} is damaged (")
    assert said.endswith("`legenda atlas verify` lists what is lost; the rest can be read.")
    assert not sound(tmp_path, digest)


def test_one_flipped_bit_is_seen(tmp_path):
    digest, size = write_shard(tmp_path, {"a": ARRAYS})
    place = place_of(tmp_path, digest)
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    assert not sound(tmp_path, digest)


def test_much_evidence_goes_into_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr("legenda.atlas.evidence.MANY", 3)
    atlas = opened(tmp_path / "a")[0]
    entries = [EvidenceEntry("sheet", {"x": torch.full((2,), float(i))}) for i in range(8)]
    ids = put_evidence(atlas, entries)
    assert [atlas.arrays(i)["x"][0].item() for i in ids] == list(range(8))
    counts = atlas.all("SELECT count(*) FROM evidence GROUP BY shard ORDER BY shard")
    assert [row[0] for row in counts] == [3, 3, 2]
    assert put_evidence(atlas, entries) == ids
