"""A pass over pictures: shard by shard through a model and its dictionary, decoded ahead.

A shard is a fixed number of pictures that follow each other, and goes through the model as one
batch: numbers of a network may depend on their batch in the last bit, so batches never change.
"""

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from legenda.core.target import digest
from legenda.core.units import Units
from legenda.corpus.coded_shard import CodedShard
from legenda.corpus.pictures import Pictures
from legenda.corpus.stream import identity
from legenda.errors import BadInput, LegendaError, Unsupported
from legenda.types import Images

SHARD = 32
GROUP = 8
"""So many shards are recorded in one file."""
AHEAD = 2
"""So many shards of pictures are decoded before the model asks for them."""


@dataclass(frozen=True)
class PicturePass:
    """Pictures through a model and its dictionary, shard by shard.

    Parameters
    ----------
    shard: pictures that go through the model at once; more need more memory.
    workers: threads that decode pictures; more help where decoding is slower than the model.
    strict: whether a picture that cannot be read ends the pass; else it is listed.
    """

    units: Units
    pictures: Pictures
    shard: int = SHARD
    workers: int = 2
    strict: bool = False

    @property
    def count(self) -> int:
        """How many shards there are."""
        return -(-len(self.pictures) // self.shard)

    @property
    def groups(self) -> int:
        """How many record shards there are."""
        return -(-self.count // GROUP)

    def group(self, g: int) -> range:
        """The shards of a record shard."""
        return range(g * GROUP, min((g + 1) * GROUP, self.count))

    def checked(self) -> CodedShard:
        """The first picture, coded: what cannot be surveyed is refused here."""
        if not len(self.pictures):
            raise BadInput("A survey needs pictures; there are none. Name a folder that has some.")
        if self.shard < 1 or self.workers < 1:
            raise BadInput(
                f"A survey needs a picture or more in each shard and one worker or more; it got "
                f"shard={self.shard} and workers={self.workers}."
            )
        if not hasattr(self.units.model, "pixels"):
            raise Unsupported(
                "A survey", "a model that takes pictures by `pixels`", self.units.model.name,
                "Open an image model with `legenda.open`, or give it such a method.",
            )  # fmt: skip
        for i in range(min(self.shard, len(self.pictures))):
            x = self.prepared(i)
            if isinstance(x, Tensor):
                return self.coded(x, [i], [])
        return self.coded(None, [], [])

    def shards(self, numbers: Iterable[int]) -> Generator[CodedShard, None, None]:
        """Some shards, in order, their pictures decoded ahead by threads."""
        pool = ThreadPoolExecutor(self.workers)
        waiting: deque[list[Future[Images | LegendaError]]] = deque()
        starts: deque[int] = deque()
        try:
            for s in numbers:
                rows = range(s * self.shard, min((s + 1) * self.shard, len(self.pictures)))
                starts.append(rows.start)
                waiting.append([pool.submit(self.prepared, i) for i in rows])
                if len(waiting) > AHEAD:
                    yield self.one(starts.popleft(), waiting.popleft())
            while waiting:
                yield self.one(starts.popleft(), waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def prepared(self, i: int) -> Images | LegendaError:
        """One picture as the model takes it, or why not."""
        model: Any = self.units.model
        try:
            return model.pixels([self.pictures.open(i)])
        except LegendaError as problem:
            return problem

    def one(self, start: int, waiting: list[Future[Images | LegendaError]]) -> CodedShard:
        """One shard, by the number of its first picture."""
        held, read, refused = [], [], []
        for i, future in enumerate(waiting, start):
            x = future.result()
            if isinstance(x, Tensor):
                held.append(x)
                read.append(i)
            elif self.strict:
                raise x
            else:
                refused.append((i, str(x)))
        return self.coded(torch.cat(held) if held else None, read, refused)

    @torch.no_grad()
    def coded(
        self, x: Images | None, read: list[int], refused: list[tuple[int, str]]
    ) -> CodedShard:  # fmt: skip
        """The codes of some pictures at the positions that are neither special nor padding."""
        if x is None:
            return CodedShard.of(None, None, read, refused)
        prefix = self.units.prefix(x)
        wrong = ~prefix.acts.isfinite().flatten(1).all(1)
        if wrong.any():
            key = self.pictures.key(read[int(wrong.nonzero()[0])])
            raise BadInput(
                f"{self.units.model.name} holds NaN or infinity for {key}; units are counted on "
                "finite activations. Check the model, or leave the picture out."
            )
        codes = self.units.dictionary.encode(prefix.acts)
        return CodedShard.of(codes, prefix.valid & ~prefix.special, read, refused)

    def about(self) -> dict[str, str | int]:
        """All that the codes depend on."""
        units = self.units
        return {
            "what": "codes of a survey",
            "address": units.address,
            "units": len(units),
            "model": identity(units.model),
            "dictionary": f"{digest(units.dictionary.atoms)} {weighed(units.dictionary)}",
            "pictures": self.pictures.digest,
            "images": len(self.pictures),
            "shard": self.shard,
            "group": GROUP,
        }


def weighed(dictionary: Any) -> str:
    """Letters that stand for all numbers of a dictionary, and for the rule that reads them."""
    network = isinstance(dictionary, nn.Module)
    held = dictionary.state_dict() if network else getattr(dictionary, "__dict__", {})
    said = hashlib.sha256(type(dictionary).__name__.encode())
    for name in ("learner", "rule"):
        said.update(f"{name} {getattr(dictionary, name, None)!r} ".encode())
    for name, value in held.items():
        if isinstance(value, Tensor):
            said.update(f"{name} {digest(value)} ".encode())
    return said.hexdigest()[:16]
