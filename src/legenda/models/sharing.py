"""Copies of the structure of a network that share its weights, to be cut and spliced."""

import copy
from typing import Any

from torch import nn


def sharing_copy(module: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A copy of the structure of a module; weights and buffers are the same tensors.

    Configurations are copied deeply, each once (`memo`): they hold one another, and a new
    setting of the copy must not reach the original.
    """
    memo = {} if memo is None else memo
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {
        name: None if child is None else sharing_copy(child, memo)
        for name, child in module._modules.items()
    }
    config = module.__dict__.get("config")
    if config is not None and getattr(config, "_attn_implementation", None) == "sdpa":
        twin.__dict__["config"] = copy.deepcopy(config, memo)
        # the public setter would reach the configurations inside, which are the user's own
        twin.__dict__["config"]._attn_implementation_internal = "eager"
    return twin


def place(root: nn.Module, name: str, child: nn.Module) -> None:
    """Put `child` where the submodule `name` of `root` was."""
    parent, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(parent), leaf, child)


class Given(nn.Module):
    """Stands where another module was, and returns what it was given.

    Whoever asks it for anything else, such as the dtype of a weight, is shown `original`.
    """

    acts: Any = None

    def __init__(self, original: nn.Module | None = None):
        super().__init__()
        self.__dict__["original"] = original  # not a child: it has no weights of its own

    def __getattr__(self, name: str) -> Any:
        original = self.__dict__.get("original")
        return getattr(original, name) if original is not None else super().__getattr__(name)

    def forward(self, *_args: Any, **_kwargs: Any) -> Any:
        return self.acts
