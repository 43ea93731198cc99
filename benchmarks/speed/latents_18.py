"""Explaining the 18 published VAEs, from files of weights to 18 pages; and a study replayed.

Two processes of one thread each take a model at a time, as `xargs -P2` would: measuring frames is
many small steps, in which a second thread has nothing to do.

The weights are read from LEGENDA_WEIGHTS. The replay asks a chat server on this machine about the
latents of one model, then asks again: everything is read from the store, and nothing is sent.
"""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.table import Measurement, Row
from legenda.core.dictionary import Identity
from legenda.core.units import Units
from legenda.describe.chat import Chat
from legenda.describe.lmm import LMM
from legenda.errors import Missing
from legenda.models.opening import open_model
from legenda.show.latents import page
from legenda.tasks.latent_describers import ByModel
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import NAMED, Study
from legenda.tasks.latents import study

FEW = LatentSettings(rows=4, fresh=4, nulls=4)


def published() -> list[Path]:
    """The files of the 18 models."""
    where = Path(os.environ.get("LEGENDA_WEIGHTS", "")) / "disentangling-vae"
    found = sorted(where.glob("*.safetensors")) if os.environ.get("LEGENDA_WEIGHTS") else []
    if not found:
        raise Missing(
            "this row needs the published VAEs; LEGENDA_WEIGHTS names no folder that holds them in "
            "disentangling-vae. Set it."
        )
    return found


def units_of(path: Path) -> Units:
    """The latents of one model."""
    vae = open_model(str(path))
    return Units(vae, Identity(vae.width, "latents"))  # pyright: ignore


def explained(path: Path, folder: Path) -> Study:
    """One model, to its page."""
    found = study(units_of(path))
    (folder / f"{path.stem}.html").write_text(page(found), "utf-8")
    return found


def replayed(path: Path) -> tuple[int, int]:
    """Requests of a study by a chat model, and of the same study again."""
    from tests.describe.server_process import running

    with (
        tempfile.TemporaryDirectory() as place,
        running("tests.describe.seeing_server") as url,
    ):  # noqa: E501
        sent = []
        for _ in range(2):
            chat = Chat(url, "pixels", answers=Path(place) / "answers", tries=1)
            asks = ByModel(LMM(chat, samples=3))
            study(units_of(path), FEW, ask=lambda _, asks=asks: asks)
            sent.append(asks.calls)
    return sent[0], sent[1]


def measure() -> Measurement:
    """All of them in a row, in one process."""
    paths = published()
    with tempfile.TemporaryDirectory() as place:
        with ProcessPoolExecutor(2, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            folders = [Path(place)] * len(paths)
            list(pool.map(explained, paths[:2], folders[:2]))  # imports are not counted
            began = time.perf_counter()
            found = list(pool.map(explained, paths, folders))
            seconds = time.perf_counter() - began
        size = sum(p.stat().st_size for p in Path(place).glob("*.html")) / 1e6
    units = [unit for one in found for unit in one.units]
    first, again = replayed(paths[0])
    return Measurement(
        "latents-18",
        [
            Row("explaining the 18 published models", seconds, "s", "<60 on 2 cores", seconds < 60),
            Row("requests of a study, the first time", first, ""),
            Row("requests of the same study again", again, "", "0", again == 0),
            Row("units", len(units), ""),
            Row("of them named", sum(u.verdict == NAMED for u in units), ""),
            Row("pages together", size, "MB"),
        ],
        [0],
        (f"2 processes of one thread each, {len(paths)} models",),
    )
