"""From whatever a module returns to acts (b n d), and back.

Modules return tensors, tuples, dicts or dataclasses; maps with channels first (b c h w),
token sequences (b n d) or plain vectors (b d). A layout finds the tensor and knows how to
put an edited one back where it was.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from legenda.errors import Refused, near
from legenda.types import Acts

PREFERRED = ("last_hidden_state", "hidden_states", "out", "output", "logits", "pooler_output")


@dataclass(frozen=True)
class Layout:
    """How to read acts out of a module's return value.

    `field` names the entry of a dict or dataclass, or gives the place in a tuple; by
    default it is the first tensor, preferring usual names such as `last_hidden_state`.
    """

    field: str | int | None = None

    def tensor(self, out: Any) -> Tensor:
        """The tensor inside `out`."""
        if isinstance(out, Tensor):
            return out
        found = entries(out)
        key = self.key(found, out)
        return found[key]

    def read(self, out: Any) -> Acts:
        """The acts inside `out`."""
        tensor = self.tensor(out)
        if tensor.ndim == 4:
            return tensor.flatten(2).mT
        if tensor.ndim == 2:
            return tensor[:, None]
        if tensor.ndim != 3:
            raise Refused(
                f"a site must hold vectors (b d), tokens (b n d) or maps (b c h w); this one "
                f"holds {tuple(tensor.shape)}. Choose another site."
            )
        return tensor

    def write(self, out: Any, acts: Acts) -> Any:
        """`out` again, with a copy of `acts` in place of what `read` found.

        A copy, since what follows may work in place.
        """
        tensor, acts = self.tensor(out), acts.clone()
        if tensor.ndim == 4:
            fresh = acts.mT.unflatten(2, tuple(tensor.shape[2:]))
        else:
            fresh = acts[:, 0] if tensor.ndim == 2 else acts
        if isinstance(out, Tensor):
            return fresh
        return rebuilt(out, {self.key(entries(out), out): fresh})

    def key(self, found: dict[Any, Tensor], out: Any) -> Any:
        """Which entry is meant."""
        if self.field is not None:
            if self.field not in found:
                raise Refused(
                    f"the site returns {type(out).__name__} with {', '.join(map(str, found))}; "
                    f"{self.field!r} is not among them."
                    f"{near(str(self.field), map(str, found))}"
                )
            return self.field
        if not found:
            raise Refused(
                f"the site returns {type(out).__name__}, which holds no tensor. "
                "Choose another site."
            )
        return next((name for name in PREFERRED if name in found), next(iter(found)))


def entries(out: Any) -> dict[Any, Tensor]:
    """Every tensor of a return value, by name or place."""
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(out, Mapping):
        pairs = out.items()
    elif isinstance(out, tuple | list):
        pairs = enumerate(out)
    else:
        pairs = vars(out).items() if hasattr(out, "__dict__") else []
    return {key: value for key, value in pairs if isinstance(value, Tensor)}


def rebuilt(out: Any, fresh: dict[Any, Tensor]) -> Any:
    """`out` again, in its own packing, with some of its entries replaced."""
    if isinstance(out, tuple | list):
        items = [fresh.get(i, item) for i, item in enumerate(out)]
        kind: Any = type(out)
        return kind(*items) if hasattr(out, "_fields") else kind(items)
    if isinstance(out, Mapping):
        return (type(out) if is_dataclass(out) else dict)(**{**out, **fresh})
    twin = copy.copy(out)
    for key, value in fresh.items():
        object.__setattr__(twin, key, value)  # frozen dataclasses too: the copy is ours
    return twin


def taken(out: Any, rows: Int[Tensor, " r"], count: int) -> Any:
    """`out` of a batch of `count`, for the images that `rows` names."""
    if isinstance(out, Tensor):
        return out[rows]
    batched = {k: t for k, t in entries(out).items() if t.ndim and len(t) == count}
    return rebuilt(out, {k: t[rows] for k, t in batched.items()})
