"""From pictures to activations, in groups of one size.

Pictures pass through the model 32 at a time, always: a smaller rest is filled up with copies of its
last picture. So the numbers of a picture depend on nobody's batch size. A picture that cannot be
read is left out, with the reason; the next group is decoded while this one is computed.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from legenda.core.model import Model, prefix_of
from legenda.corpus.pictures import Pictures
from legenda.errors import BadInput, LegendaError, Unsupported
from legenda.types import Images

GROUP = 32
"""So many pictures pass through the model at once."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Group:
    """Pictures by number that could be read, as the model takes them, and those that could not."""

    numbers: tuple[int, ...]
    keys: tuple[str, ...]
    pixels: tuple[Images, ...] = field(repr=False)
    refused: dict[str, str] = field(default_factory=dict)


def group_of(
    model: Model[Any], pictures: Pictures, numbers: Sequence[int], strict: bool = False
) -> Group:
    """Read pictures; `strict` lets the first that cannot be read end it all."""
    read: dict[int, Images] = {}
    refused: dict[str, str] = {}
    for i in numbers:
        try:
            read[i] = model.pixels([pictures.open(i)])  # pyright: ignore[reportAttributeAccessIssue]
        except LegendaError as error:
            if strict:
                raise
            refused[pictures.key(i)] = str(error)
    keys = tuple(pictures.key(i) for i in read)
    return Group(tuple(read), keys, tuple(read.values()), refused)


def grouped(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Numbers in groups as they pass through the model."""
    return [numbers[at : at + GROUP] for at in range(0, len(numbers), GROUP)]


def evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` pictures, evenly apart: a corpus may be sorted by its sources."""
    kept = min(count, most)
    return [i * count // kept for i in range(kept)]


def groups_of(
    model: Model[Any], pictures: Pictures, parts: Iterable[Sequence[int]], strict: bool = False
) -> Iterator[Group]:
    """Read groups of pictures, each while the one before is used."""
    return ahead(lambda part: group_of(model, pictures, part, strict), parts)


@torch.no_grad()
def acts_of(model: Model[Any], group: Group) -> list[Float[Tensor, "n d"]]:
    """The activations of each picture of a group, special positions left out."""
    if not group.numbers:
        return []
    copies = [group.pixels[-1]] * (GROUP - len(group.pixels))
    prefix = prefix_of(model, torch.cat([*group.pixels, *copies]))
    ordinary = (prefix.valid & ~prefix.special).cpu()
    acts = prefix.acts.float().cpu()
    found = [acts[i][ordinary[i]] for i in range(len(group.numbers))]
    for key, one in zip(group.keys, found, strict=True):
        if not one.isfinite().all():
            raise BadInput(
                f"{model.name} gives NaN or infinity for {key}. Check its weights, and how it "
                "prepares pictures."
            )
    return found


def takes_pictures(model: Model[Any], who: str) -> None:
    """Refuse a model that does not say how it prepares pictures."""
    if not hasattr(model, "pixels"):
        raise Unsupported(
            who, "a model that prepares pictures (`pixels`)", model.name,
            "Open it as an image model.",
        )  # fmt: skip


def ahead(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`map(work, items)`, each begun in another thread while the one before is used."""
    waiting = iter(items)
    with ThreadPoolExecutor(1) as hands:
        coming = [hands.submit(work, item) for item in islice(waiting, 1)]
        while coming:
            made = coming.pop().result()
            coming = [hands.submit(work, item) for item in islice(waiting, 1)]
            yield made


def identity(model: Model[Any]) -> str:
    """Stands for a model, the weights of its networks, and how it prepares pictures."""
    known = hashlib.sha256(repr(getattr(model, "preprocess", None)).encode())
    for network in {id(found): found for found in _networks(model, 3)}.values():
        for name, tensor in network.state_dict().items():
            known.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            known.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return f"{model.ref} {known.hexdigest()[:16]}"


def _networks(thing: object, depth: int) -> Iterator[nn.Module]:
    """The networks that an object is, or holds."""
    if isinstance(thing, nn.Module):
        yield thing
    elif depth and not isinstance(thing, Tensor | type):
        for held in getattr(thing, "__dict__", {}).values():
            yield from _networks(held, depth - 1)
