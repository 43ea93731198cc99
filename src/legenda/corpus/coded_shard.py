"""A coded shard: which units are on in some pictures, as it is computed, recorded and read again.

Codes are kept for the positions that count (r), image by image, without special ones and padding.
What is recorded is what is counted: numbers are float32, or float16 where that loses nothing, so
that statistics made of a record are those made in the pass, bit for bit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from legenda.core.codes import Codes
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_statistics import UnitStatistics, compact
from legenda.types import Mask

PARTS = ("index", "weight", "positions", "pictures", "refused")


@dataclass(frozen=True, eq=False)
class CodedShard:
    """The codes of some pictures of a corpus.

    Parameters
    ----------
    index, weight: the slots of each position; padded ones weigh 0.
    positions: how many positions each picture has.
    pictures: which pictures of the corpus they are.
    refused: pictures that could not be read, each with the reason.
    """

    index: Int[Tensor, "r j"]
    weight: Float[Tensor, "r j"]
    positions: Int[Tensor, " b"]
    pictures: Int[Tensor, " b"]
    refused: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(
        cls, codes: Codes | None, mask: Mask | None, pictures: Sequence[int],
        refused: Sequence[tuple[int, str]] = (),
    ) -> "CodedShard":  # fmt: skip
        """The positions in `mask` of some codes; no codes where no picture could be read."""
        if codes is None or mask is None:
            nothing = torch.zeros(0, 1)
            none = torch.zeros(0, dtype=torch.int32)
            return cls(nothing.int(), nothing, none, none.clone(), tuple(refused))
        index, weight = compact(
            codes.index[mask].cpu().numpy(), codes.weight[mask].detach().cpu().float().numpy()
        )
        return cls(
            torch.from_numpy(index.astype(np.int32)), torch.from_numpy(weight).contiguous(),
            mask.sum(1).cpu().int(), torch.tensor(pictures, dtype=torch.int32), tuple(refused),
        )  # fmt: skip

    def __len__(self) -> int:
        """Count the pictures that were read."""
        return len(self.pictures)

    def codes(self, size: int) -> tuple[Codes, Mask]:
        """The codes picture by picture, and which positions of them there are."""
        most = int(self.positions.max()) if len(self) else 0
        mask = torch.arange(most) < self.positions[:, None]
        index = torch.zeros(*mask.shape, self.index.shape[1], dtype=torch.int64)
        weight = torch.zeros(index.shape)
        index[mask], weight[mask] = self.index.long(), self.weight
        return Codes(index, weight, size), mask

    def counted(
        self, size: int, first_image: int, floor: float, top: int, per_image: int | None
    ) -> tuple[UnitStatistics, SparsePairs]:
        """What these pictures tell of all units."""
        codes, mask = self.codes(size)
        statistics = UnitStatistics.of(codes, first_image, floor, top, per_image, mask)
        return statistics, SparsePairs.of(codes, floor, mask)


def packed(shards: Sequence[CodedShard], size: int) -> dict[str, Tensor]:
    """Tensors that `unpacked` makes the same shards of."""
    tensors = {}
    for i, shard in enumerate(shards):
        index = shard.index.to(torch.int16 if size <= 2**15 else torch.int32)
        half = shard.weight.half()
        weight = half if torch.equal(half.float(), shard.weight) else shard.weight
        refused = torch.tensor(list(json.dumps(shard.refused).encode()), dtype=torch.uint8)
        held = (index, weight, shard.positions, shard.pictures, refused)
        tensors |= {f"{i}/{part}": tensor for part, tensor in zip(PARTS, held, strict=True)}
    return tensors


def unpacked(tensors: Mapping[str, Tensor]) -> list[CodedShard]:
    """Shards of what `packed` gave."""
    found = []
    for i in range(len(tensors) // len(PARTS)):
        index, weight, positions, pictures, refused = (tensors[f"{i}/{part}"] for part in PARTS)
        reasons = json.loads(bytes(refused.tolist()))
        found.append(
            CodedShard(
                index.int(), weight.float(), positions, pictures,
                tuple((int(number), str(why)) for number, why in reasons),
            )
        )  # fmt: skip
    return found
