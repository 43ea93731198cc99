"""Take named files out of an npm archive or a Debian package, and nothing else."""

import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath

from legenda.errors import Refused


def unpack(archive: Path, to: Path, roots: tuple[str, ...], endings: tuple[str, ...]) -> None:
    """Write the regular files under `roots` that end as one of `endings`; paths lose the root.

    Links, devices and paths that would leave `to` are passed over.
    """
    try:
        with _opened(archive) as tar:
            for member in tar:
                path = _inside(member.name, roots)
                content = tar.extractfile(member) if path and member.isreg() else None
                if content and path and str(path).endswith(endings):
                    (to / path).parent.mkdir(parents=True, exist_ok=True)
                    (to / path).write_bytes(content.read())
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as problem:
        raise Refused(f"{archive.name} is not a whole archive ({problem}). Fetch again.") from None
    if not to.is_dir():
        raise Refused(f"{archive.name} holds no {', '.join(endings)} under {', '.join(roots)}.")


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    if archive.suffix == ".deb":
        with tarfile.open(fileobj=BytesIO(_member(archive, "data.tar"))) as tar:
            yield tar
    else:
        with tarfile.open(archive) as tar:
            yield tar


def _member(archive: Path, name: str) -> bytes:
    """A member of a Debian package, which is an `ar` archive: sixty-byte headers between files."""
    content = archive.read_bytes()
    place = len(b"!<arch>\n")
    while place + 60 <= len(content):
        header = content[place : place + 60]
        size = int(header[48:58])
        if place + 60 + size > len(content):
            raise ValueError("it is cut short")
        if header.startswith(name.encode("ascii")):
            return content[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    raise ValueError(f"it holds no {name}")


def _inside(name: str, roots: tuple[str, ...]) -> PurePosixPath | None:
    """The path below the first root that holds it."""
    path = PurePosixPath(name.removeprefix("./"))
    for root in roots:
        if path.is_relative_to(root) and ".." not in path.parts:
            return path.relative_to(root)
    return None
