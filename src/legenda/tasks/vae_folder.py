"""What `legenda fit-vae` leaves in a folder, and how well an autoencoder does, as plain numbers."""

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from legenda.autoencoders.objective import Objective, nats
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap
from legenda.corpus.durable import WRITING, land, plain
from legenda.errors import BadInput, Refused

TRAINING, SCHEMA = "training.json", 1


def check_folder(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse a folder of another training, or of somebody else."""
    place = folder / TRAINING
    if not place.is_file():
        if folder.is_dir() and {p.name for p in folder.iterdir()} - {TRAINING + WRITING}:
            raise BadInput(f"{folder} is there, and legenda did not write it. Choose another --out.")  # fmt: skip # noqa: E501
        return
    there, asked = read_training(folder)["asked"], plain(asked)
    for name in sorted(asked.keys() | there.keys()):
        if there.get(name) != asked.get(name):
            raise BadInput(
                f"{folder} holds an autoencoder whose {name} is {there.get(name)}; asked for is "
                f"{asked.get(name)}. Choose another --out."
            )


def read_training(folder: Path) -> dict[str, Any]:
    """What training.json says."""
    place = folder / TRAINING
    try:
        found = json.loads(place.read_text("utf-8"))
        if found["schema"] == SCHEMA and isinstance(found["asked"], dict):
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise Refused(f"{place} cannot be read, or is of another legenda. Choose another --out.")


def numbers_of(score: Score) -> dict[str, Any]:
    """A score for programs; an interval of one picture has no ends."""
    ends = [v if abs(v) < float("inf") else None for v in score.interval]
    found = {"value": score.value, "interval": ends, "n": score.n}
    return found if score.control is None else {**found, "control": score.control}


def write_training(folder: Path, said: dict[str, Any]) -> None:
    """training.json, whole or not at all."""
    text = json.dumps({"schema": SCHEMA, **said}, indent=1, allow_nan=False)
    land(folder / TRAINING, text.encode() + b"\n")


def score_of(name: str, numbers: dict[str, Any]) -> Score:
    """A score that was written."""
    low, high = numbers["interval"]
    ends = (-float("inf") if low is None else low, float("inf") if high is None else high)
    return Score(
        name, numbers["value"], ends, numbers["n"], name != "reconstruction",
        numbers.get("control"), unit="nats",
    )  # fmt: skip


def measured(
    network: Any,
    objective: Objective,
    held: tuple[UInt8[Tensor, "p c h w"], Float[Tensor, "p y"] | None],
    seen: UInt8[Tensor, "m c h w"],
    seed: int,
) -> tuple[tuple[Score, ...], tuple[Score, ...]]:
    """Nats lost and said of held-out pictures, and of each latent; beside them one for all.

    The one picture is the mean of those that were seen.
    """
    pixels, y = held
    lost, each = reconstructed(network, objective, pixels, y)
    middle = seen.double().mean(0).div(255).clamp(1e-4, 1 - 1e-4).float().logit()
    same = middle.expand(len(pixels), -1, -1, -1)
    control = objective.likelihood.nats(same, pixels.float() / 255)
    whole = (score("reconstruction", lost, seed, control), score("kl", each.sum(1), seed))
    return whole, tuple(score(f"latent {i}", one, seed) for i, one in enumerate(each.mT))


@torch.no_grad()
def reconstructed(
    network: Any, objective: Objective, pixels: UInt8[Tensor, "p c h w"],
    y: Float[Tensor, "p y"] | None,
) -> tuple[Float[Tensor, " p"], Float[Tensor, "p d"]]:  # fmt: skip
    """Nats lost of each picture, decoded from its mean, and nats that each latent says of it."""
    lost, said = [], []
    for part in torch.arange(len(pixels)).split(64):
        more = () if y is None else (y[part],)
        x = pixels[part].float() / 255
        mean, log_variance = network.encode(x, *more)
        lost.append(objective.likelihood.nats(network.logits(mean, *more), x).double())
        said.append(nats(mean, log_variance).double())
    return torch.cat(lost), torch.cat(said)


def score(name: str, values: Tensor, seed: int, control: Tensor | None = None) -> Score:
    """A mean with its interval, beside that of a control."""
    beside = None if control is None else float(control.double().mean())
    between = None if control is None else bootstrap(control, seed)
    low = name != "reconstruction"
    return Score(
        name, float(values.mean()), bootstrap(values, seed), len(values), low, beside, between,
        "nats",
    )  # fmt: skip
