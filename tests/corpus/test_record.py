"""Recorded shards: whole or not there, and every changed byte is found."""

import errno
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from legenda.corpus import durable
from legenda.corpus.durable import land, plain, sealed, unsealed
from legenda.corpus.lock import NAME, Lock
from legenda.corpus.record import ABOUT, MANIFEST, Record, Recorder
from legenda.errors import BadInput, LegendaError, Missing, Refused

WHAT = {"model": "zoo:scenes@patches", "corpus": "abc", "width": 3, "floor": 0.5, "groups": [1, 2]}


def shard(i, rows=4):
    lot = torch.Generator().manual_seed(i)
    index = torch.randint(9, (rows, 2), generator=lot)
    return {"acts": torch.randn(rows, 3, generator=lot).half(), "index": index}


def written(folder, count=3, about=WHAT):
    with Recorder(folder, about) as recorder:
        for i in range(count):
            if not recorder.has(i):
                recorder.write(i, shard(i), {f"{i}.png": "cut short"} if i == 1 else None)
        return recorder.finish(count)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def refused(error, call, *args, **options):
    with pytest.raises(LegendaError) as caught:
        call(*args, **options)
    assert type(caught.value) is error
    return str(caught.value)


# ----------------------------------------------------------------------------- as it should


def test_what_is_written_is_read(tmp_path):
    record = written(tmp_path)
    again = Record(tmp_path)
    assert len(record) == len(again) == 3 and again.about == WHAT
    assert record.digest == again.digest and len(record.digest) == 16
    for i in (2, 0, 1, 2):
        found = again.read(i)
        assert found.keys() == shard(i).keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in shard(i).items())
    assert again.shapes(2) == {"acts": (4, 3), "index": (4, 2)}
    assert again.notes(1) == {"1.png": "cut short"} and again.notes(0) == {}
    said = []
    assert again.verify(lambda done, of: said.append((done, of))) == []
    assert said == [(1, 3), (2, 3), (3, 3)]
    assert refused(BadInput, again.read, 3) == f"shard 3 is not in {tmp_path}, which has 3 from 0."


def test_names_say_the_number_and_the_checksum_and_nothing_else_is_left(tmp_path):
    written(tmp_path)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names[3:] == [ABOUT, MANIFEST]
    held = json.loads((tmp_path / MANIFEST).read_text())
    for i, name in enumerate(names[:3]):
        assert name == f"{i:05d}-{held['shards'][i]['sha256'][:16]}.safetensors"


def test_a_recording_in_three_runs_ends_with_the_same_bytes(tmp_path):
    written(tmp_path / "whole")
    for stop in (1, 2):
        with Recorder(tmp_path / "parts", WHAT) as recorder:
            assert [recorder.has(i) for i in range(3)] == [i < stop - 1 for i in range(3)]
            recorder.write(stop - 1, shard(stop - 1), {"1.png": "cut short"} if stop == 2 else None)
            assert recorder.has(stop - 1)
            assert torch.equal(recorder.read(0)["acts"], shard(0)["acts"])
    written(tmp_path / "parts")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_views_empty_tensors_and_many_types_are_kept(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    held = {
        "view": base.T, "same": base, "none": torch.zeros(0, 4), "one": torch.tensor(3),
        "half": base.bfloat16(), "mask": base > 3, "grad": base.clone().requires_grad_(),
    }  # fmt: skip
    with Recorder(tmp_path, {}) as recorder:
        recorder.write(0, held)
        found = recorder.finish(1).read(0)
    for name, tensor in held.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


def test_a_shard_can_be_written_again(tmp_path):
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.write(0, shard(0))
        recorder.write(0, shard(7))
        assert len(list(tmp_path.glob("00000-*"))) == 1
        assert torch.equal(recorder.finish(1).read(0)["acts"], shard(7)["acts"])


def test_large_numbers_are_no_prefix_of_others(tmp_path):
    with Recorder(tmp_path, {}) as recorder:
        recorder.write(123456, shard(1))
        assert recorder.has(123456) and not recorder.has(12345) and not recorder.has(1234567)
        assert refused(BadInput, recorder.has, -1) == "shards are numbered from 0; got -1."


# --------------------------------------------------------------------------- unfinished


def test_no_record_and_one_that_was_not_finished(tmp_path):
    assert refused(Missing, Record, tmp_path / "none") == (
        f"record {tmp_path}/none is not there. Check the path."
    )
    assert refused(Missing, Record, tmp_path) == (
        f"{tmp_path} has no manifest.json: it is no record. Name a folder that a recording was "
        "written to."
    )
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.write(0, shard(0))
        assert refused(Missing, recorder.read, 1) == (
            f"{tmp_path} has no shard 1 yet. Write it first."
        )
        assert refused(Missing, recorder.finish, 9) == (
            f"{tmp_path} cannot be finished: 8 of 9 shards are not recorded (1, 2, 3, 4, 5 …). "
            "Write them first."
        )
    assert refused(Missing, Record, tmp_path) == (
        f"{tmp_path} has no manifest.json: its recording was not finished. Run it again; it goes "
        "on where it stopped."
    )


def test_a_manifest_of_another_version_is_refused(tmp_path):
    land(tmp_path / MANIFEST, sealed({"format": "record 0", "about": {}, "shards": []}))
    assert refused(Refused, Record, tmp_path) == (
        f"{tmp_path}/manifest.json is damaged, or of another version of legenda. Record into the "
        "same folder again: shards that are right are kept."
    )


@pytest.mark.parametrize("finished", [True, False])
def test_another_recording_is_refused_and_nothing_is_touched(tmp_path, finished):
    if finished:
        written(tmp_path)
    else:
        with Recorder(tmp_path, WHAT) as recorder:
            recorder.write(0, shard(0))
    before = content(tmp_path)
    other = {**WHAT, "model": "zoo:photos@patches", "width": 4}
    assert refused(Refused, Recorder, tmp_path, other) == (
        f"{tmp_path} holds something else: model is 'zoo:scenes@patches' there and "
        "'zoo:photos@patches' here, width is 3 there and 4 here. Choose another folder, or remove "
        "this one."
    )
    assert content(tmp_path) == before
    assert "corpus is 'abc' there and None here" in refused(Refused, Recorder, tmp_path, {"a": 1})


def test_shards_of_unknown_origin_are_refused(tmp_path):
    written(tmp_path)
    for name in (ABOUT, MANIFEST):
        (tmp_path / name).unlink()
    assert refused(Refused, Recorder, tmp_path, WHAT) == (
        f"{tmp_path} holds shards, and what they are is damaged or gone (manifest.json, "
        "about.json). Remove the folder, or choose another."
    )


def test_what_is_recorded_must_be_plain(tmp_path):
    assert refused(BadInput, plain, {"a": float("nan")}).startswith(
        "what is recorded must be words, numbers and lists of them; it is not ("
    )
    assert plain({"a": (1, 2)}) == {"a": [1, 2]}


# ------------------------------------------------------------------------------- damage


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << random.Random(at).randrange(8)
    path.write_bytes(data)


def offsets(path, count=40):
    size = path.stat().st_size
    return [0, 7, 8, 20, size - 1, *random.Random(0).sample(range(size), min(count, size))]


def test_one_byte_changed_anywhere_in_a_shard_is_found(tmp_path):
    written(tmp_path)
    path = next(tmp_path.glob("00001-*"))
    whole = path.read_bytes()
    for at in offsets(path, 20):
        flipped(path, at)
        record = Record(tmp_path)
        assert torch.equal(record.read(0)["acts"], shard(0)["acts"])
        assert refused(Refused, record.read, 1) == (
            f"{path} is damaged: its checksum is another. Record into the same folder again: only "
            "this shard is computed anew."
        )
        assert record.verify() == [path.name]
        with Recorder(tmp_path, WHAT) as recorder:
            assert [recorder.has(i) for i in range(3)] == [True, False, True]
        path.write_bytes(whole)
    assert Record(tmp_path).verify() == []


def test_one_byte_changed_anywhere_in_the_manifest_is_found(tmp_path):
    written(tmp_path)
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    for at in offsets(path, 100):
        path.write_bytes(whole)
        flipped(path, at)
        assert unsealed(path) is None
    for at in offsets(path, 10):
        path.write_bytes(whole)
        flipped(path, at)
        assert refused(Refused, Record, tmp_path) == (
            f"{path} is damaged, or of another version of legenda. Record into the same folder "
            "again: shards that are right are kept."
        )
    assert written(tmp_path).verify() == [] and path.read_bytes() == whole


def test_one_byte_changed_in_what_is_recorded_is_found(tmp_path):
    record = written(tmp_path)
    path = tmp_path / ABOUT
    whole = path.read_bytes()
    for at in offsets(path, 10):
        flipped(path, at)
        assert record.verify() == [ABOUT]
        path.write_bytes(whole)
    flipped(path, 30)
    assert written(tmp_path).verify() == [] and path.read_bytes() == whole


def test_a_shard_that_is_gone_or_cut_short(tmp_path):
    written(tmp_path)
    gone, cut = (next(tmp_path.glob(f"{i:05d}-*")) for i in (0, 2))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-3])
    record = Record(tmp_path)
    assert refused(Refused, record.read, 0) == (
        f"{gone} is not there. Record into the same folder again: only this shard is computed anew."
    )
    assert record.verify() == [gone.name, cut.name]


def test_damaged_shards_alone_are_recorded_anew(tmp_path):
    written(tmp_path)
    whole = content(tmp_path)
    flipped(next(tmp_path.glob("00002-*")), 50)
    done = []

    class Watched(Recorder):
        def write(self, i, *rest):
            done.append(i)
            super().write(i, *rest)

    with Watched(tmp_path, WHAT) as recorder:
        for i in range(3):
            if not recorder.has(i):
                recorder.write(i, shard(i))
        recorder.finish(3)
    assert done == [2] and content(tmp_path) == whole


def test_the_checksum_is_verified_once(tmp_path, monkeypatch):
    record = written(tmp_path)
    record.read(0)
    counted = []
    real = __import__("hashlib").sha256
    monkeypatch.setattr(
        "legenda.corpus.record.hashlib.sha256", lambda d: counted.append(1) or real(d)
    )
    record.read(0)
    assert counted == []
    record.read(1)
    assert counted == [1]


# ---------------------------------------------------------------------------- full disks


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fails", ["fsync"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, fails):
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.write(0, shard(0))
        before = content(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(durable.os, fails, full)
            said = refused(Missing, recorder.write, 1, shard(1))
        assert said.startswith(f"{tmp_path}/00001-") and said.endswith(
            ".safetensors could not be written: No space left on device. Make room there, or "
            "choose another folder."
        )
        assert content(tmp_path) == before
        recorder.write(1, shard(1))
        assert recorder.has(1)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert refused(Missing, Recorder, tmp_path / "file", WHAT) == (
        f"{tmp_path}/file could not be written: File exists. Make room there, or choose another "
        "folder."
    )


def test_a_name_is_given_only_to_what_is_on_the_disk(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(durable.os, "fsync", lambda at: order.append("sync") or sync(at))
    monkeypatch.setattr(Path, "replace", lambda a, b: order.append("name") or replace(a, b))
    land(tmp_path / "a", b"x")
    assert order == ["sync", "name", "sync"] and content(tmp_path) == {"a": b"x"}


def test_what_a_killed_process_left_is_swept(tmp_path):
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.write(0, shard(0))
    (tmp_path / "00001-0123456789abcdef.safetensors.writing").write_bytes(b"half")
    written(tmp_path)
    assert not list(tmp_path.glob("*.writing"))


# --------------------------------------------------------------------------------- locks


def test_there_is_one_writer_at_a_time(tmp_path):
    host = socket.gethostname()
    with Recorder(tmp_path, WHAT) as recorder:
        assert refused(Refused, Recorder, tmp_path, WHAT) == (
            f"{tmp_path} is being written by process {os.getpid()} on {host}. Wait for it; if it "
            "is no more, remove writing.lock there."
        )
        recorder.write(0, shard(0))
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.finish(1)
    assert not (tmp_path / NAME).exists()
    with pytest.raises(Refused):
        Recorder(tmp_path, {"another": 1})
    assert not (tmp_path / NAME).exists()


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    (tmp_path / NAME).write_text(f"{dead()} {socket.gethostname()} 00\n")
    lock = Lock(tmp_path)
    assert (tmp_path / NAME).read_text() == lock.mine
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]
    lock.release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("held", ["{pid} elsewhere 00\n", "1 {host} 00\n", "", "nonsense"])
def test_a_lock_that_may_be_alive_is_respected(tmp_path, held):
    text = held.format(pid=dead(), host=socket.gethostname())
    (tmp_path / NAME).write_text(text)
    said = refused(Refused, Lock, tmp_path)
    assert said.endswith(". Wait for it; if it is no more, remove writing.lock there.")
    assert (tmp_path / NAME).read_text() == text


def test_who_takes_over_a_lock_that_another_has_taken_over_gives_it_back(tmp_path, monkeypatch):
    path = tmp_path / NAME
    stale, alive = (
        f"{dead()} {socket.gethostname()} 00\n",
        f"{os.getpid()} {socket.gethostname()} 1\n",
    )
    path.write_text(stale)
    real = os.rename

    def late(self, to):  # between reading the stale lock and moving it, another was faster
        path.write_text(alive)
        real(self, to)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(Refused):
        Lock(tmp_path)
    assert path.read_text() == alive and len(list(tmp_path.iterdir())) == 1


def test_a_writer_whose_lock_is_gone_writes_no_more(tmp_path):
    with Recorder(tmp_path, WHAT) as recorder:
        recorder.write(0, shard(0))
        (tmp_path / NAME).write_text(f"77 {socket.gethostname()} 00\n")
        before = content(tmp_path)
        for call in (lambda: recorder.write(1, shard(1)), lambda: recorder.finish(1)):
            assert refused(Refused, call).startswith(
                f"{tmp_path} is being written by process 77 on "
            )
        assert content(tmp_path) == before
    assert (tmp_path / NAME).exists()  # it is the other's


def test_a_forgotten_recorder_gives_the_lock_back(tmp_path):
    Recorder(tmp_path, WHAT)
    assert not (tmp_path / NAME).exists()


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from tests.corpus.test_record import recorded
count = lambda: len(list(Path(sys.argv[1]).glob("*")))
for more in sys.argv[2:]:
    start, child = count(), os.fork()
    if not child:
        recorded(sys.argv[1])
        os._exit(0)
    while count() < start + int(more):
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def recorded(folder, count=150):
    with Recorder(folder, WHAT) as recorder:
        for i in range(count):
            if not recorder.has(i):
                recorder.write(i, shard(i))
        return recorder.finish(count)


def test_a_recording_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path):
    lot = random.Random(1)
    more = [str(lot.randrange(2, 20)) for _ in range(6)]
    folder = tmp_path / "killed"
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *more], capture_output=True, text=True
    )
    assert said.stdout.split() == ["-9"] * 6, said.stderr
    assert 0 < len(list(folder.glob("*.safetensors"))) < 150
    recorded(folder), recorded(tmp_path / "whole")
    assert content(folder) == content(tmp_path / "whole")


def test_who_is_killed_while_making_a_lock_leaves_none(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("legenda.corpus.lock.os.link", killed)
        Lock(tmp_path)
    assert not (tmp_path / NAME).exists()
    Lock(tmp_path).release()


def test_a_lock_that_another_sweeps_away_is_made_again(tmp_path, monkeypatch):
    import os

    real, swept = os.link, []

    def once(beside, place):
        if not swept:
            swept.append(beside.unlink())
        real(beside, place)

    monkeypatch.setattr("legenda.corpus.lock.os.link", once)
    lock = Lock(tmp_path)
    assert (tmp_path / NAME).read_text() == lock.mine and len(list(tmp_path.iterdir())) == 1
