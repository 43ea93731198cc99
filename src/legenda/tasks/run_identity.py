"""What a study depends on, as content: equal things have equal keys, in any process, at any time.

A setting stands for itself, a tensor for its digest, a network for its weights. Of a dataclass
count the fields that its `repr` shows, and tensors; what it hides besides, such as a password,
changes no result.
"""

import weakref
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from legenda.atlas.keys import digest_of, key_of
from legenda.core.dictionary import Dictionary
from legenda.core.target import Target
from legenda.core.units import Units

INSIDE = ("root", "module", "image", "text", "model", "paint")
"""Where models keep their networks."""
_seen: weakref.WeakKeyDictionary[nn.Module, tuple[Any, str]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Identity:
    """What all targets of a study share; `key` adds the target.

    Parameters
    ----------
    model, weights: the reference of the model, and the digest of its weights.
    dictionary: the digest of the dictionary.
    x: the digest of the inputs.
    methods: the settings of what explains, describes and scores.
    """

    model: str
    weights: str
    dictionary: str
    x: str
    methods: Mapping[str, Any]

    @classmethod
    def of(
        cls, units: Units, x: Any, explain: Any, describe: Sequence[Any], score: Sequence[Any]
    ) -> "Identity":
        """Look at everything once."""
        methods = {"explain": content(explain), "describe": content(describe), "score": content(score)}  # fmt: skip # noqa: E501
        return cls(
            str(units.model.ref), weights_digest(units.model),
            dictionary_digest(units.dictionary), key_of(content(x)), methods,
        )  # fmt: skip

    def key(self, target: Target) -> str:
        """The key of one explanation."""
        return key_of(
            "study", self.model, self.weights, self.dictionary, self.x, dict(self.methods),
            target.key,
        )  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """As the settings of a study that says nothing else of itself."""
        return {"model": self.model, "x": self.x, **self.methods}


def content(value: Any) -> Any:
    """Plain values that stand for anything."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, Tensor):
        return f"tensor {digest_of({'': value})}"
    if isinstance(value, np.ndarray | np.generic):
        return f"array {digest_of({'': torch.from_numpy(np.ascontiguousarray(value))})}"
    if isinstance(value, nn.Module):
        return [_name(value), weights_digest(value)]
    if isinstance(value, Mapping):
        return {str(k): content(v) for k, v in value.items()}
    if isinstance(value, Set):
        return sorted(map(str, map(content, value)))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [content(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return _of_object(value)


def _of_object(value: Any) -> Any:
    if hasattr(value, "__qualname__"):  # a class or a function
        return f"{value.__module__}:{value.__qualname__}"
    if is_dataclass(value):
        held = {f.name: (f.repr, getattr(value, f.name)) for f in fields(value)}
        return [
            _name(value),
            {n: content(v) for n, (shown, v) in held.items() if shown or isinstance(v, Tensor)},
        ]
    if type(value).__repr__ is not object.__repr__:
        return repr(value)
    return [_name(value), content(vars(value)) if hasattr(value, "__dict__") else ""]


def _name(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def dictionary_digest(dictionary: Dictionary) -> str:
    """Thirty-two letters for a dictionary."""
    return key_of(content(dictionary))


def weights_digest(model: Any) -> str:
    """Thirty-two letters for the weights of a model; empty where it has none.

    They are read once, and again after they were changed.
    """
    found = [_of_network(one) for one in networks(model)]
    return "" if not found else found[0] if len(found) == 1 else key_of(*found)


def networks(model: Any, depth: int = 3) -> list[nn.Module]:
    """The networks inside a model, each once."""
    if isinstance(model, nn.Module):
        return [model]
    found: list[nn.Module] = []
    for name in INSIDE if depth else ():
        inside = getattr(model, name, None)
        if inside is not None:
            found += networks(inside, depth - 1)
    return list(dict.fromkeys(found))


def _of_network(module: nn.Module) -> str:
    tensors = {name: one for name, one in module.state_dict().items() if isinstance(one, Tensor)}
    stamp = [(name, one.data_ptr(), _version(one)) for name, one in tensors.items()]
    known = _seen.get(module)
    if known is None or known[0] != stamp:
        known = _seen[module] = (stamp, digest_of(tensors))
    return known[1]


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
