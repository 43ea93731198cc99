"""Labelled images as tokens, and what each position matters; in pieces that are kept on disk.

An image is known by its content, so that it may be moved or renamed; one that cannot be read is
left out and told.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt16
from torch import Tensor

from legenda.concepts.model import ConceptModel
from legenda.concepts.token_set import TokenSet
from legenda.core.target import Logit, digest
from legenda.core.units import Units
from legenda.corpus.images import open_image
from legenda.corpus.labels import Labels
from legenda.errors import LegendaError
from legenda.explain.token_importance import TokenImportance
from legenda.models.vq import VQ
from legenda.tasks.shelf import Shelf, digested, shards, weighed
from legenda.types import Images

Report = Callable[[str, int, int], None]
BATCH = 32
"""Images that go through a network at once."""


@dataclass(frozen=True, eq=False)
class Survey:
    """The images that could be read: labels, content and tokens of each, in one order.

    `refused` says of the others why they could not.
    """

    labels: Labels
    keys: tuple[str, ...]
    tokens: UInt16[np.ndarray, "b n"]
    refused: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)


def silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def model_key(vq: VQ) -> str:
    """What stands for a model: where it comes from, its numbers, and how it takes a picture."""
    return f"{vq.ref} {weighed(vq.root)} {digest(vq.codebook.atoms)} {vq.preprocess} {vq.grid}"


def survey_tokens(
    vq: VQ,
    labels: Labels,
    shelf: Shelf,
    report: Report = silent,
    lost: Callable[[str], None] = lambda sentence: None,
) -> Survey:
    """Read every image as tokens; `lost` is told of each that cannot be read."""
    positions, model = vq.grid[0] * vq.grid[1], model_key(vq)
    # refuses a codebook whose entries have no number of two bytes, before anything is read
    TokenSet.of(np.zeros((0, positions), np.uint16), [], (), vq.grid, len(vq.codebook), least=0)
    paths = [one.image for one in labels.images]
    keys, done = list(map(content, paths)), 0
    tokens, read = np.zeros((len(paths), positions), np.uint16), np.zeros(len(paths), bool)
    for part in shards(keys):
        tell = partial(further, report, "reading", done, len(paths))
        make = partial(tokenised, vq, [paths[row] for row in part], tell)
        found = shelf.once("tokens", [model, [keys[row] for row in part]], make)
        rows = np.array(part)[found["rows"].numpy()]
        tokens[rows], read[rows] = found["tokens"].numpy(), True
        done += len(part)
        report("reading", done, len(paths))
    refused: dict[Path, str] = {}
    for row in np.flatnonzero(~read).tolist():
        try:  # again: it may be readable by now
            tokens[row], read[row] = vq.tokens(pixels(vq, paths[row]))[0].cpu().numpy(), True
        except LegendaError as error:
            refused[paths[row]] = str(error)
            lost(str(error))
    left = labels.without(refused.keys()) if refused else labels
    kept = tuple(key for key, there in zip(keys, read, strict=True) if there)
    return Survey(left, kept, tokens[read], tuple(refused.values()))


def survey_importance(
    concepts: ConceptModel,
    survey: Survey,
    how: TokenImportance,
    shelf: Shelf,
    report: Report = silent,
) -> Float32[np.ndarray, "b n"]:
    """How much each position matters to the concept model for the label of its image."""
    model = [concepts.ref, weighed(concepts.root), digest(concepts.codebook.atoms), repr(how)]
    numbers = np.array([concepts.number(one.label) for one in survey.labels.images])
    scores, done = np.zeros(survey.tokens.shape, np.float32), 0
    for part in shards(survey.keys):
        tokens, asked = survey.tokens[part], numbers[part].tolist()
        tell = partial(further, report, "importance", done, len(survey))
        make = partial(importance, concepts, tokens, asked, how, tell)
        scores[part] = shelf.once("importance", [model, digested(tokens), asked], make)["scores"].numpy()  # fmt: skip # noqa: E501
        done += len(part)
        report("importance", done, len(survey))
    return scores


def further(report: Report, what: str, before: int, total: int, done: int) -> None:
    """Report on a part that began after so many."""
    report(what, before + done, total)


def content(path: Path) -> str:
    """What stands for the content of a file; of one that may not be read, its name."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256(b"unread " + bytes(path)).hexdigest()


def pixels(vq: VQ, path: Path) -> Images:
    """One picture as a model takes it."""
    return vq.pixels([open_image(path)])


def tokenised(vq: VQ, paths: Sequence[Path], tell: Callable[[int], None]) -> dict[str, Tensor]:
    """Tokens of the pictures that can be read, and which they are."""
    rows: list[int] = []
    found = [torch.zeros(0, vq.grid[0] * vq.grid[1], dtype=torch.long)]
    for start in range(0, len(paths), BATCH):
        some: list[Tensor] = []
        for row, path in enumerate(paths[start : start + BATCH], start):
            try:
                some.append(pixels(vq, path))
            except LegendaError:
                continue
            rows.append(row)
        if some:
            found.append(vq.tokens(torch.cat(some)).cpu())
        tell(min(start + BATCH, len(paths)))
    held = torch.from_numpy(torch.cat(found).numpy().astype(np.uint16))
    return {"rows": torch.tensor(rows, dtype=torch.long), "tokens": held}


def importance(
    concepts: ConceptModel,
    tokens: UInt16[np.ndarray, "b n"],
    numbers: Sequence[int],
    how: TokenImportance,
    tell: Callable[[int], None],
) -> dict[str, Tensor]:
    """Importance for one concept per image."""
    units, found = Units(concepts, concepts.codebook), []
    for start in range(0, len(tokens), BATCH):
        part = torch.from_numpy(tokens[start : start + BATCH].astype(np.int64))
        asked = Logit(tuple(numbers[start : start + BATCH]))
        found.append(how(units, part.to(concepts.codebook.atoms.device), asked).scores.cpu())
        tell(min(start + BATCH, len(tokens)))
    return {"scores": torch.cat(found).float()}
