"""Traversals: all frames of a model with 10 latents in one pass, against frame by frame.

8 frames × 5 rows × 10 latents = 400 pictures of 64 px. One twin sets one value and decodes one
picture, which is what a plain script does; the other sets it through the edit that every unit of
every model understands. Weights are drawn where the published ones are not there.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from benchmarks.table import Measurement, Row, quick
from legenda.core.dictionary import Identity
from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.explain.traversal import Traversal, anchors
from legenda.intervene.edits import put
from legenda.models.burgess import Burgess
from legenda.models.opening import open_model
from legenda.models.vae import VAE, from_module

ROWS = 5


def model() -> VAE:
    """A published VAE of faces, or one of the same shape."""
    where = os.environ.get("LEGENDA_WEIGHTS")
    path = Path(where or "") / "disentangling-vae" / "btcvae_celeba.safetensors"
    if where and path.is_file():
        return open_model(str(path))  # pyright: ignore
    return from_module(Burgess(64, 3, 10), ref="drawn weights")


@torch.no_grad()
def plain(vae: VAE, rows: torch.Tensor, values: torch.Tensor) -> list[torch.Tensor]:
    """One value, one picture, as a script does it."""
    found = []
    for unit in range(vae.width):
        for row in rows:
            for value in values:
                z = row.clone()
                z[:, unit] = float(value)
                found.append(vae.visible(vae.decode(z[None])))
    return found


@torch.no_grad()
def lifted(units: Units, rows: torch.Tensor, values: torch.Tensor) -> list[torch.Tensor]:
    """The same through the edit of any unit."""
    vae, found = units.model, []
    for unit in range(len(units)):
        for row in rows:
            for value in values:
                acts = units.lift(put(unit, float(value)))(row[None])
                found.append(vae.visible(vae.decode(acts)))  # pyright: ignore
    return found


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure() -> Measurement:
    """All traversals of one model, three ways, in turn."""
    vae = model()
    units = Units(vae, Identity(vae.width, "latents"))
    rows, move = anchors(units, ROWS, 0), Traversal()
    values = move.grid(units, [0], rows)[0]

    def ours() -> list[Sheet]:
        return move.many(units, rows, range(vae.width))

    ours()
    plain(vae, rows[:1], values)
    times: dict[str, list[float]] = {"ours": [], "plain": [], "lifted": []}
    for _ in range(3 if quick() else 9):
        times["ours"].append(seconds(ours))
        times["plain"].append(seconds(lambda: plain(vae, rows, values)))
        times["lifted"].append(seconds(lambda: lifted(units, rows, values)))
    middle = {name: median(found) for name, found in times.items()}
    frames = torch.cat([sheet.images.flatten(0, 1) for sheet in ours()])
    gap = float((frames - torch.cat(plain(vae, rows, values))).abs().max())
    lift, bare = middle["lifted"] / middle["ours"], middle["plain"] / middle["ours"]
    return Measurement(
        "traversal",
        [
            Row("frame by frame through an edit, over one pass", lift, "x", ">=10", lift >= 10),
            Row("frame by frame by a bare loop, over one pass", bare, "x", ">=10", bare >= 10),
            Row("one pass of 400 frames", middle["ours"], "s"),
            Row("largest difference of a colour", gap, "", "<=1e-5", gap <= 1e-5),
        ],
        [0],
        (
            f"{torch.get_num_threads()} threads, {vae.name}",
            "A decoder of 14 MFLOP is bound by arithmetic already at one picture: a pass saves "
            "what calls cost, and no more",
        ),
    )
