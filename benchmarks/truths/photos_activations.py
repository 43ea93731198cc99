"""Activations and codes of the pictures that the row `concepts-photos` looks at.

Patches are computed once and kept in the cache, in 16 bits, in files named by the model, its
weights and the pictures; the full form keeps about 1.2 GB there.

Many photographs of fruit are in their data set more than once, byte for byte, and under both parts.
Each is looked at once, and a held-out one only if no copy of it is among those of training.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.table import quick
from legenda.core.codes import Codes
from legenda.corpus.stream import acts_of, grouped, groups_of, identity
from legenda.dictionaries.linear import LinearDictionary, Projection
from legenda.dictionaries.pca import PCA
from legenda.dictionaries.random_atoms import RandomAtoms
from legenda.zoo.photos.concept_pictures import ConceptPictures
from legenda.zoo.photos.fetch import home
from legenda.zoo.photos.packages import CIFAR, GROCERIES

PART = 256
"""Pictures in one file."""
AT_ONCE = 64
"""Pictures that are encoded at once."""
SAMPLE = 20_000
"""Rows that the mean of the random directions and the principal axes are taken from."""
FRUIT, PHOTOGRAPHS = "groceries", CIFAR.folder
PAIRS: tuple[str, ...] = ("emoji", "openclipart", "tuxpaint")
FULL: dict[str, dict[str, int]] = {"train": dict.fromkeys(PAIRS, 300), "held out": {}}
QUICK: dict[str, dict[str, int]] = {
    "train": {FRUIT: 224, PHOTOGRAPHS: 240, **dict.fromkeys(PAIRS, 20)},
    "held out": {FRUIT: 64, PHOTOGRAPHS: 64, **dict.fromkeys(PAIRS, 32)},
}
"""Pictures of each source; all of those that are not named."""


def say(line: str) -> None:
    """Progress, on standard error."""
    sys.stderr.write(line + "\n")


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures by their numbers, with their patches in 16 bits."""

    pictures: ConceptPictures
    numbers: tuple[int, ...]
    acts: Float[Tensor, "b n d"]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def titles(self) -> list[str]:
        """Title, kind of fruit or class of each."""
        return [self.pictures.entries[i][2] for i in self.numbers]

    def some(self, rows: Sequence[int]) -> "Seen":
        """A selection, by place."""
        return Seen(self.pictures, tuple(self.numbers[i] for i in rows), self.acts[list(rows)])

    def of(self, *sources: str) -> "Seen":
        """Those of some sources."""
        return self.some([i for i, n in enumerate(self.numbers) if self.pictures.source(n) in sources])  # fmt: skip # noqa: E501

    def spread(self, count: int) -> "Seen":
        """So many, evenly spread over all."""
        count = min(count, len(self))
        return self.some([i * len(self) // count for i in range(count)])

    def labels(self, names: Sequence[str]) -> Int[Tensor, " b"]:
        """The place of each title among the names."""
        return torch.tensor([names.index(title) for title in self.titles])


def seen(model: Any, part: Any, seed: int = 0, cache: Path | None = None) -> Seen:
    """One part of the pictures, those of each source by lot."""
    pictures, left = ConceptPictures(part, cache), copies(part, cache)
    most = (QUICK if quick() else FULL)[part]
    lot = np.random.default_rng(seed)
    kept: list[int] = []
    for source in dict.fromkeys(source for source, _, _ in pictures.entries):
        own = [i for i, entry in enumerate(pictures.entries) if entry[0] == source and entry[1] not in left]  # fmt: skip # noqa: E501
        kept += sorted(lot.permutation(own)[: most.get(source, len(own))].tolist())
    numbers = tuple(kept)
    return Seen(pictures, numbers, kept_acts(model, pictures, numbers, cache))


def copies(part: Any, cache: Path | None = None) -> set[str]:
    """Keys of the fruit that is left out of a part: copies within it, and of training pictures."""
    from pyarrow.parquet import read_table

    ((name, _),) = GROCERIES.files.items()
    data = read_table(home(cache) / name, columns=["image_data"]).column("image_data").to_pylist()
    there, left = set(), set()
    for own in ("train", part) if part != "train" else ("train",):
        keys = [key for source, key, _ in ConceptPictures(own, cache).entries if source == FRUIT]
        for key in keys:
            told = hashlib.sha256(data[int(key.rpartition("/")[2])]).digest()
            left |= {key} if told in there else set()
            there.add(told)
    return left


@torch.no_grad()
def kept_acts(
    model: Any, pictures: ConceptPictures, numbers: Sequence[int], cache: Path | None
) -> Float[Tensor, "b n d"]:  # fmt: skip
    """Patches of pictures, from the cache where they are there."""
    folder = cached(cache)
    known, found = identity(model), []
    for at in range(0, len(numbers), PART):
        own = numbers[at : at + PART]
        told = f"{known} {pictures.digest} {pictures.part} {own}"
        place = folder / f"acts-{hashlib.sha256(told.encode()).hexdigest()[:16]}.safetensors"
        if not place.is_file():
            rows: list[Tensor] = []
            for group in groups_of(model, pictures, grouped(own), True):
                rows += acts_of(model, group)
            passing = place.with_suffix(".writing")
            save_file({"acts": torch.stack(rows).half()}, passing)
            passing.replace(place)
            say(f"{pictures.part}: {at + len(own)} of {len(numbers)} pictures")
        found.append(load_file(place)["acts"])
    return torch.cat(found)


def cached(cache: Path | None = None) -> Path:
    """The folder of this row in the cache."""
    folder = home(cache).parents[1] / "benchmarks" / "concepts-photos"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@torch.no_grad()
def coded(dictionary: Any, acts: Float[Tensor, "b n d"]) -> Codes:
    """Codes of many pictures, with as many slots as the fullest patch needs."""
    parts = [dictionary.encode(part.float()) for part in acts.split(AT_ONCE)]
    slots = max(part.index.shape[2] for part in parts)
    return Codes(
        torch.cat([widened(part.index, slots) for part in parts]),
        torch.cat([widened(part.weight, slots) for part in parts]),
        parts[0].size,
    )


def widened(values: Tensor, slots: int) -> Tensor:
    """As many slots as asked for, the new ones 0."""
    return torch.nn.functional.pad(values, (0, slots - values.shape[2]))


@torch.no_grad()
def strongest(dictionary: Any, acts: Float[Tensor, "b n d"]) -> Float[Tensor, "b k"]:
    """What each picture shows most of each unit."""
    parts = acts.split(AT_ONCE)
    return torch.cat([dictionary.encode(part.float()).strongest() for part in parts])


@torch.no_grad()
def through(dictionary: Any | None, acts: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
    """Activations as a dictionary gives them back; None gives them as they are."""
    if dictionary is None:
        return acts.float()
    parts = acts.split(AT_ONCE)
    return torch.cat([dictionary.decode(dictionary.encode(part.float())) for part in parts])


def books(ours: Any, train: Seen, held: Seen, seed: int = 0) -> tuple[dict[str, Any], int]:
    """Ours, principal axes in two sides and random directions, and how many of those are on."""
    codes = coded(ours, held.acts[:: max(1, len(held) // 64)])
    most = max(1, round(float((codes.weight > 0).sum(2).double().mean())))
    rows = train.acts.flatten(0, 1)
    lot = torch.Generator().manual_seed(seed)
    sample = rows[torch.randint(len(rows), (SAMPLE,), generator=lot)].float()
    axes = PCA(2 * rows.shape[1], signed=False).fit(sample)
    sided = LinearDictionary(axes.atoms, axes.bias, Projection(most), "pca", axes.learner)
    return {"concepts": ours, "PCA": sided, "random": RandomAtoms(len(ours), most).fit(sample, seed)}, most  # fmt: skip # noqa: E501
