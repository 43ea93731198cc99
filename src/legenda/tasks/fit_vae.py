"""Fit an autoencoder to the pictures of a corpus; in pieces that are kept.

Pictures are brought to one size once, and kept as bytes in the folder while it learns: 12,288 for a
picture of 64 × 64 colours, so that ten thousand take 123 MB. They are mapped, not loaded, and the
limit is the disk. Pictures that are held out are measured with what was fitted: what is lost of
them, and what each latent says of them; beside it stands one picture for all, their mean.

Nats of a latent are against N(0, 1), as everywhere; those of a CSVAE's w are more than it pays,
since its prior knows y.

    vae.safetensors     weights, in the layout of disentangling-vae; of a CSVAE, in its own
    training.json       what was asked for, and the figures on held-out pictures
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from legenda.autoencoders.course import NAME, fit
from legenda.autoencoders.objective import Objective
from legenda.autoencoders.source import Held
from legenda.core.explanation import Score
from legenda.corpus.durable import room
from legenda.corpus.lock import Lock
from legenda.corpus.pictures import Pictures
from legenda.errors import Refused
from legenda.models.vae_hub import layout_of
from legenda.tasks.byte_pictures import in_bytes, told_of
from legenda.tasks.vae_folder import (
    TRAINING,
    check_folder,
    measured,
    numbers_of,
    read_training,
    score_of,
    write_training,
)
from legenda.tasks.vae_settings import VAESettings, vae_cost

Report = Callable[[str, int, int, dict[str, Any]], None]
WEIGHTS = f"{NAME}.safetensors"
MEASURED = 1024
"""Held-out pictures that are measured, at most."""
ACTIVE = 0.01
"""A latent that says fewer nats of a picture, on average, is inactive."""


@dataclass(frozen=True, eq=False)
class FittedVAE:
    """A network, and how it does on pictures that were held out.

    `scores`: nats that are lost and said of a picture; `each`: nats of each latent, with interval;
    `classes`: what the told numbers stand for; `refused`: pictures that could not be read, and why.
    """

    network: Any
    scores: tuple[Score, ...]
    each: tuple[Score, ...]
    classes: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def active(self) -> list[int]:
        """Latents that say something."""
        return [i for i, score in enumerate(self.each) if score.value >= ACTIVE]


def fit_vae(
    folder: Path,
    pictures: Pictures,
    held: Pictures,
    how: VAESettings,
    report: Report = lambda what, done, total, figures: None,
    asked: dict[str, Any] | None = None,
) -> FittedVAE:
    """Fit, measure on held-out pictures, and write the network; goes on where it was begun."""
    objective = how.objective()
    vae_cost(pictures, how)
    asked = {**(asked or {}), **asdict(how), "pictures": pictures.digest}
    check_folder(folder, asked)
    finished = _finished(folder, how)
    if finished is not None:
        return finished
    with room(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_training(folder, {"asked": asked})
    lock = Lock(folder)
    try:
        found = _fitted(folder, (pictures, held), objective, how, report)
        _kept(folder, found, asked)
    finally:
        lock.release()
    return found


def _finished(folder: Path, how: VAESettings) -> FittedVAE | None:
    """What a folder holds, where the training has ended."""
    if not (folder / TRAINING).is_file() or not (folder / WEIGHTS).is_file():
        return None
    said = read_training(folder)
    if "figures" not in said:
        return None
    network = how.network(len(said["classes"]))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, OSError, SafetensorError):
        raise Refused(
            f"{folder / WEIGHTS} does not hold what {TRAINING} says. Remove the folder."
        ) from None
    scores = tuple(score_of(name, numbers) for name, numbers in said["figures"].items())
    each = tuple(score_of(f"latent {i}", numbers) for i, numbers in enumerate(said["latents"]))
    refused = tuple((key, why) for key, why in said["refused"])
    return FittedVAE(network, scores, each, tuple(said["classes"]), refused)


def _fitted(
    folder: Path, both: tuple[Pictures, Pictures], objective: Objective, how: VAESettings,
    report: Report,
) -> FittedVAE:  # fmt: skip
    """Pictures in bytes, a network, and its figures."""
    pictures, held = both
    told = told_of(pictures) if how.told else None
    shape = (how.channels, how.side)
    mine = in_bytes(folder / "pictures.bytes", pictures, shape, report, "pictures")
    own = mine if not len(held) else in_bytes(folder / "held.bytes", held, shape, report, "held out", MEASURED)  # fmt: skip # noqa: E501
    classes = () if told is None else told.classes
    y, y_own = None, None
    if told is not None:
        y = told.numbers(pictures, mine.kept)
        y_own = told.numbers(held, own.kept) if len(held) else y
    source = Held(mine.pixels, y)
    network = _learned(folder, how.network(len(classes)), objective, source, how, report)
    first = own.pixels[:MEASURED], None if y_own is None else y_own[:MEASURED]
    scores, each = measured(network, objective, first, mine.pixels[:MEASURED], how.seed)
    refused = dict((*mine.refused, *own.refused))
    return FittedVAE(network, scores, each, classes, tuple(refused.items()))


def _learned(
    folder: Path, network: Any, objective: Objective, source: Held, how: VAESettings, report: Report
) -> Any:
    def told(step: int, figures: dict[str, Any]) -> None:
        report("fitting", step + 1, how.steps, figures)

    batch = min(how.batch, source.count)
    return fit(
        network, objective, source, how.plan(), how.seed, folder, how.every, told, batch=batch
    )


def _kept(folder: Path, found: FittedVAE, asked: dict[str, Any]) -> None:
    """The network and what was measured; what only the training needed goes."""
    fresh = folder / f".{WEIGHTS}.writing"
    with room(folder / WEIGHTS):
        save_file(layout_of(found.network), fresh)
        fresh.replace(folder / WEIGHTS)
    figures = {s.name: numbers_of(s) for s in found.scores}
    write_training(folder, {
        "asked": asked, "classes": list(found.classes), "figures": figures,
        "latents": [numbers_of(s) for s in found.each], "active": found.active,
        "refused": [list(pair) for pair in found.refused],
    })  # fmt: skip
    for left in (*folder.glob("*.training.safetensors"), *folder.glob("*.bytes*")):
        left.unlink()
