"""A model, opened at one site.

Everything legenda does to a network it does through one verb: run it, look at the
activations at the site, and perhaps rewrite them on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.types import Acts, Images, Mask

Edit = Callable[[Acts], Acts]
X = TypeVar("X", contravariant=True)


class Run:
    """One forward pass, computed no further than it is read.

    `acts` is what the site held, after any edit (b n d). `output` is what the model
    returned: logits (b, classes), an embedding (b, e) or images (b c h w). Either may be
    given as a function of no arguments, which is called when it is first read.
    """

    def __init__(self, acts: Tensor | Callable[[], Tensor], output: Tensor | Callable[[], Tensor]):
        self._acts, self._output = acts, output

    @property
    def acts(self) -> Acts:
        """What the site held, after any edit."""
        if not isinstance(self._acts, Tensor):
            self._acts = self._acts()
        return self._acts

    @property
    def output(self) -> Tensor:
        """What the model returned."""
        if not isinstance(self._output, Tensor):
            self._output = self._output()
        return self._output


@runtime_checkable
class Model(Protocol[X]):
    """A network with one site, a place where activations can be read and rewritten.

    `x` is a batch of images (b c h w) or of token ids (b n): a text tower is a model too.
    `name` is short and stable; `ref` is what a worker needs to open the model again;
    `grid` is the rows and columns of the image positions, or None where positions are words.
    """

    @property
    def name(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def grid(self) -> tuple[int, int] | None: ...
    def run(self, x: X, edit: Edit | None = None) -> Run:
        """Run on `x`; if `edit` is given, the site passes on `edit(acts)` instead of `acts`."""
        ...

    def acts(self, x: X) -> Acts:
        """What the site holds; nothing after it is computed."""
        ...


@runtime_checkable
class Prefix(Protocol):
    """The first half of a forward pass, done once: what the second half can be run from."""

    @property
    def acts(self) -> Acts: ...
    @property
    def special(self) -> Mask: ...
    @property
    def valid(self) -> Mask: ...
    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        """The output, if image `rows[i]` had held `acts[i]` at the site."""
        ...


@runtime_checkable
class Resumes(Protocol[X]):
    """A model whose forward pass splits at the site."""

    def prefix(self, x: X) -> Prefix: ...


@runtime_checkable
class Decodes(Protocol):
    """A model that can turn activations back into images (VQ models, VAEs)."""

    def decode(self, acts: Acts) -> Images: ...


@dataclass(frozen=True)
class DualEncoder:
    """Two models and one space: an image and a sentence meet in their outputs (b e)."""

    image: Model[Any]
    text: Model[Any]


@dataclass(frozen=True)
class Rerun:
    """The prefix of a model that cannot resume: each resumption is a whole forward pass."""

    model: Model[Any]
    x: Tensor
    acts: Acts
    special: Bool[Tensor, "b n"]
    valid: Bool[Tensor, "b n"]

    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        return self.model.run(self.x[rows], edit=lambda _: acts).output


@dataclass(frozen=True)
class Repeated:
    """The prefix of one input that stands for many: it is computed once."""

    once: Prefix
    count: int

    @property
    def acts(self) -> Acts:
        return self.once.acts.expand(self.count, -1, -1)

    @property
    def special(self) -> Mask:
        return self.once.special.expand(self.count, -1)

    @property
    def valid(self) -> Mask:
        return self.once.valid.expand(self.count, -1)

    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        return self.once.resume(acts, torch.zeros_like(rows))


@dataclass(frozen=True)
class Embedded:
    """The prefix of a model that begins at its site: acts, and what follows from them."""

    acts: Acts
    follow: Callable[[Acts], Tensor]

    @property
    def special(self) -> Mask:
        return torch.zeros(self.acts.shape[:2], dtype=torch.bool, device=self.acts.device)

    @property
    def valid(self) -> Mask:
        return ~self.special

    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        return self.follow(acts)


def repeated(x: Tensor) -> bool:
    """Whether all rows of a batch are one row in memory, as `row.expand(…)` makes them."""
    return len(x) > 1 and x.stride(0) == 0


def prefix_of(model: Model[Any], x: Tensor) -> Prefix:
    """The prefix of any model: a real one where it resumes, else one that reruns.

    A batch of one input repeated (`x[:1].expand(…)`) is run once.
    """
    if repeated(x):
        return Repeated(prefix_of(model, x[:1]), len(x))
    if isinstance(model, Resumes):
        return model.prefix(x)
    with torch.no_grad():
        acts = model.acts(x)
    special = torch.zeros(acts.shape[:2], dtype=torch.bool, device=acts.device)
    return Rerun(model, x, acts, special, ~special)


@torch.no_grad()
def finished(prefix: Prefix) -> Tensor:
    """The output for the inputs of a prefix as they are."""
    once = prefix.once if isinstance(prefix, Repeated) else prefix
    rows = torch.arange(len(once.acts), device=once.acts.device)
    output = once.resume(once.acts, rows)
    return output.expand(len(prefix.acts), *output.shape[1:])


@runtime_checkable
class Attends(Protocol[X]):
    """A transformer whose attention can be looked at, `L × (b heads n n)`, with gradients."""

    def attentions(self, x: X) -> tuple[Tensor, list[Tensor]]:
        """The output, and the attention weights of every block; both carry a graph."""
        ...
