"""`legenda doctor`."""

import importlib.metadata
import os
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import say, show, tell
from legenda.errors import LegendaError

NEEDED = ("torch", "transformers", "numpy", "pillow", "safetensors", "cyclopts", "jinja2", "rich")
OPTIONAL = {"captum": "KernelSHAP (pip install 'legenda[bench]')"}


def doctor(
    *,
    clear_cache: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what this installation can do, and try it: zoo:scenes is opened and explains a scene.

    The exit code is 2 where that fails.

    Parameters
    ----------
    clear_cache
        Delete what zoo:photos has downloaded.
    json
        One JSON object on stdout.
    """
    if clear_cache:
        from legenda.zoo.photos.fetch import clear

        say(f"freed {clear() / 1e6:,.1f} MB")
    said = found()
    if json:
        tell(said)
    else:
        from legenda.cli.models import table_of

        show(table_of(said))
    return 0 if said["self-check"].startswith("passed") else 2


def found() -> dict[str, Any]:
    """Everything that can be said of this installation."""
    from legenda import __version__
    from legenda.models.loading import offline

    return {
        "legenda": __version__,
        "python": f"{platform.python_version()}, {sys.executable}",
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "packages": {name: _version(name) for name in NEEDED},
        "optional": {
            name: _version(name) if find_spec(name) else f"not there; needed for {use}"
            for name, use in OPTIONAL.items()
        },
        "devices": devices(),
        "network": "forbidden by LEGENDA_OFFLINE" if offline() else "allowed",
        **_cache(),
        "self-check": self_check(),
    }


def devices() -> list[str]:
    """Where models can run."""
    import torch

    there = ["cpu"]
    count = torch.cuda.device_count()
    there += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count)]
    return there


def self_check() -> str:
    """Whether zoo:scenes opens, and explains a scene that it never saw."""
    import time

    from PIL import Image

    from legenda.agreement import explain
    from legenda.zoo.scenes import draw
    from legenda.zoo.scenes.render import photograph

    began, scene = time.perf_counter(), draw(2_000_000)
    try:
        picture = Image.fromarray(photograph(scene))
        (made,) = explain("zoo:scenes", picture, scene.caption(), score=False)
    except LegendaError as error:
        return f"failed: {error}"
    if not bool(made.image.scores.isfinite().all()) or not made.words:
        return "failed: zoo:scenes gave a map that is not finite. Reinstall legenda."
    return f"passed: zoo:scenes opened and explained a scene in {time.perf_counter() - began:.1f} s"


def _cache() -> dict[str, Any]:
    from legenda.zoo.photos.fetch import home, status, wanted

    held = {part: size for part, size in status().items() if size}
    there = home()
    while not there.exists():
        there = there.parent
    missing = wanted()
    return {
        "cache": str(home()),
        "cached": {part: f"{size / 1e6:,.1f} MB" for part, size in held.items()} or "nothing",
        "free disk": f"{shutil.disk_usage(there).free / 1e9:,.1f} GB",
        "zoo:photos": "not fetched: run `legenda zoo fetch photos`" if missing else "ready",
        "hugging face cache": str(_hub()),
    }


def _hub() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not there"
