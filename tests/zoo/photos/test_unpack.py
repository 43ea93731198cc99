"""Unpacking: only what was asked for, and never outside the folder."""

import io
import tarfile
from pathlib import Path

import pytest

from legenda.errors import Refused
from legenda.zoo.photos.unpack import unpack

FILES = {
    "package/a/one.png": b"1",
    "package/two.txt": b"2",
    "package/../../escape.png": b"3",
    "other/three.png": b"4",
}


def tar(mode: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("package/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return held.getvalue()


def package(data: bytes) -> bytes:
    """A Debian package with an odd-sized first member, which is padded."""
    members = {"debian-binary": b"2.0", "data.tar.xz": data}
    content = b"!<arch>\n"
    for name, body in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n"
        content += header.encode() + body + b"\n" * (len(body) % 2)
    return content


@pytest.mark.parametrize("kind", ["tgz", "deb"])
def test_only_wanted_files_inside_the_root_are_written(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"x.{kind}"
    archive.write_bytes(tar("w:gz") if kind == "tgz" else package(tar("w:xz")))
    unpack(archive, tmp_path / "out", ("package",), (".png",))
    written = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*")]
    assert written == [Path("a/one.png")]
    assert not (tmp_path / "escape.png").exists()


@pytest.mark.parametrize("name", ["x.tgz", "x.deb"])
def test_a_truncated_archive_is_refused(tmp_path: Path, name: str) -> None:
    whole = tar("w:gz") if name.endswith("tgz") else package(tar("w:xz"))
    (tmp_path / name).write_bytes(whole[:-40])
    with pytest.raises(Refused, match=f"{name} is not a whole archive"):
        unpack(tmp_path / name, tmp_path / "out", ("package",), (".png",))


def test_an_archive_without_the_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_bytes(tar("w:gz"))
    with pytest.raises(Refused) as caught:
        unpack(tmp_path / "x.tgz", tmp_path / "out", ("package",), (".webp",))
    assert str(caught.value) == "x.tgz holds no .webp under package."
