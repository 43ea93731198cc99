"""The towers of `transformers`, split at a block: everything before it is computed once.

The site is the output of a block, or that of the embeddings, before any attention has mixed
the positions: there each word is itself and nothing else.

A forward pass is the library's own. To resume one at block ℓ we copy the *structure* of
the model (its weights stay shared), take out the blocks up to ℓ, and put in place of the
embeddings a module that returns the given acts. Causal masks, pooling and projections are
therefore the library's. Two things only are ours, each equal to the original in a test:
attention without the fused kernel (on a CPU twice as fast backwards), and a last block
that computes only the position which is pooled.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from legenda.core.hooks import rewriting
from legenda.core.model import Edit, Run
from legenda.errors import Missing, Unsupported
from legenda.models.layout import Layout
from legenda.models.loading import in_float32
from legenda.models.module import lazily
from legenda.models.sharing import Given, place, sharing_copy
from legenda.types import Acts, Mask

EMBEDDINGS = "embeddings"
"""The site before the first block."""


@dataclass(frozen=True)
class Anatomy:
    """Where the parts of a tower are, as dotted names from the root of the model.

    `skip` names what lies between the embeddings and the first block.
    """

    embeddings: str
    blocks: str
    skip: tuple[str, ...] = ()


class Tower:
    """One tower of a transformers model, opened after a block or after the embeddings.

    Parameters
    ----------
    root: the whole model; its weights are never copied.
    anatomy: where its embeddings and blocks are.
    block: index of the block whose output is the site, or "embeddings".
    call: runs `root` on x and returns its output (an embedding or logits).
    marks: for x, which positions are special, and which are valid (b n each).
    grid: rows and columns of the patches; None for words.
    pooled: for x, the one position that is read after the last block, where that is so.
    """

    def __init__(
        self,
        root: nn.Module,
        anatomy: Anatomy,
        block: int | str,
        call: Callable[[nn.Module, Tensor], Tensor],
        marks: Callable[[Tensor, int], tuple[Mask, Mask]],
        grid: tuple[int, int] | None,
        *,
        name: str,
        ref: str,
        pooled: Callable[[Tensor], Int[Tensor, " b"]] | None = None,
    ):
        in_float32(root, name)
        blocks = list(root.get_submodule(anatomy.blocks).children())
        if block != EMBEDDINGS and block not in range(len(blocks)):
            raise Missing(
                f"{name} opens at {EMBEDDINGS} or at blocks 0 to {len(blocks) - 1}; it got "
                f"{block}. Choose one of them."
            )
        self.root, self.anatomy, self.block, self.depth = root, anatomy, block, len(blocks)
        self.call, self.marks, self.grid, self.pooled = call, marks, grid, pooled
        self.name, self.ref = name, f"{ref}@{block}"
        first = 0 if isinstance(block, str) else block + 1
        self._site = blocks[first - 1] if first else root.get_submodule(anatomy.embeddings)
        self._suffix = Suffix(root, anatomy, first, pooled is not None)

    @property
    def sites(self) -> list[int | str]:
        """Every site it can be opened at."""
        return [EMBEDDINGS, *range(self.depth)]

    def parameters(self) -> list[nn.Parameter]:
        return list(self.root.parameters())

    def at(self, block: int | str) -> "Tower":
        """The same tower, opened at another site."""
        ref = self.ref.rsplit("@", 1)[0]
        return Tower(
            self.root, self.anatomy, block, self.call, self.marks, self.grid,
            name=self.name, ref=ref, pooled=self.pooled,
        )  # fmt: skip

    def acts(self, x: Tensor) -> Acts:
        return self.run(x).acts

    def run(self, x: Tensor, edit: Edit | None = None) -> Run:
        def forward() -> Tensor:
            return self.call(self.root, x)

        return lazily(self._site, Layout(), forward, lambda out: out, edit)

    def prefix(self, x: Tensor) -> "TowerPrefix":
        with torch.no_grad():
            acts = self.acts(x)
        special, valid = self.marks(x, acts.shape[1])
        return TowerPrefix(self, x, acts, special, valid)

    def resume(self, x: Tensor, acts: Acts) -> Tensor:
        """The output for inputs `x` whose acts at the site are replaced by `acts`."""
        if self.pooled is not None:
            _, valid = self.marks(x, acts.shape[1])
            self._suffix.aim(self.pooled(x), valid)
        return self._suffix(acts, lambda root: self.call(root, x))

    def attentions(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and every block's attention (b heads n n), read on an eager copy.

        Both carry a graph that starts at the embeddings, so that weights need no gradient.
        """
        root, seen = sharing_copy(self.root), []

        def keep(out: Any) -> Any:
            seen.append(out[1])
            return out

        with ExitStack() as open_hooks, torch.enable_grad():
            start = root.get_submodule(self.anatomy.embeddings)
            open_hooks.enter_context(rewriting(start, as_leaf))
            for block in root.get_submodule(self.anatomy.blocks).children():
                open_hooks.enter_context(rewriting(attention_of(block), keep))
            return self.call(root, x), seen


def as_leaf(out: Any) -> Any:
    """The same return value, its tensor cut off from what came before and taking gradients."""
    layout = Layout()
    return layout.write(out, layout.read(out).detach().requires_grad_())


def attention_of(block: nn.Module) -> nn.Module:
    """The self-attention of a block, which returns its weights second."""
    names = ("self_attn", "attention")
    found = next((getattr(block, name) for name in names if hasattr(block, name)), None)
    if found is None:
        raise Unsupported(
            "Attention", f"blocks with {' or '.join(names)}", type(block).__name__,
            "Use a method that needs no attention.",
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class TowerPrefix:
    """The acts at the site, and what the rest of the pass needs of x."""

    tower: Tower
    x: Tensor
    acts: Acts
    special: Bool[Tensor, "b n"]
    valid: Bool[Tensor, "b n"]

    def resume(self, acts: Float[Tensor, "r n d"], rows: Int[Tensor, " r"]) -> Tensor:
        return self.tower.resume(self.x[rows], acts)


class Suffix:
    """The rest of a model from a block on, sharing its weights."""

    def __init__(self, root: nn.Module, anatomy: Anatomy, first: int, pooled: bool):
        self.root = sharing_copy(root)
        self.start = Given(self.root.get_submodule(anatomy.embeddings))
        place(self.root, anatomy.embeddings, self.start)
        for name in anatomy.skip if first else ():
            place(self.root, name, nn.Identity())
        rest = list(self.root.get_submodule(anatomy.blocks))[first:]  # pyright: ignore
        self.last: PooledBlock | None = None
        if pooled and rest and PooledBlock.fits(rest[-1]):
            self.last = PooledBlock(rest[-1])
            rest[-1] = self.last
        place(self.root, anatomy.blocks, nn.ModuleList(rest))

    def aim(self, at: Int[Tensor, " r"], keys: Mask) -> None:
        """Say which position the last block is read at, and which it may look at."""
        if self.last is not None:
            self.last.at, self.last.keys = at, keys

    def __call__(self, acts: Acts, call: Callable[[nn.Module], Tensor]) -> Tensor:
        self.start.acts = acts
        try:
            return call(self.root)
        finally:
            self.start.acts = None


class PooledBlock(nn.Module):
    """A pre-norm block of CLIP or SigLIP, computed at one position per row only.

    With h = norm(x), the attention of one head from position p needs neither keys nor
    values of every position:

        w_n = softmax_n( h_n · W_kᵀ (W_q h_p + b_q) / √e )                    (1)
        y   = W_v (Σ_n w_n h_n) + b_v                                         (2)

    since the bias of the keys shifts every w_n alike. The cost per position falls from
    2 d² to 2 d × heads.
    """

    at: Tensor
    keys: Tensor

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    @staticmethod
    def fits(block: nn.Module) -> bool:
        """Whether a block has the parts this one is made of."""
        attention = getattr(block, "self_attn", None)
        parts = ("q_proj", "k_proj", "v_proj", "out_proj", "scale", "num_heads")
        names = ("layer_norm1", "layer_norm2", "mlp")
        return all(hasattr(attention, p) for p in parts) and all(hasattr(block, n) for n in names)

    def forward(self, x: Acts, *_args: Any, **_kwargs: Any) -> Acts:
        block: Any = self.block
        attention = block.self_attn
        heads, each = attention.num_heads, torch.arange(len(x), device=x.device)
        normed = block.layer_norm1(x)
        query = attention.q_proj(normed[each, self.at]).unflatten(-1, (heads, -1))
        w_k = attention.k_proj.weight.unflatten(0, (heads, -1))
        sought = torch.einsum("rhe,hed->rhd", query, w_k)
        score = (sought @ normed.mT) * attention.scale
        weight = score.masked_fill(~self.keys[:, None], -torch.inf).softmax(-1)  # (1)
        w_v = attention.v_proj.weight.unflatten(0, (heads, -1))
        mixed = torch.einsum("rhd,hed->rhe", weight @ normed, w_v).flatten(1)
        y = x[each, self.at] + attention.out_proj(mixed + attention.v_proj.bias)  # (2)
        y = y + block.mlp(block.layer_norm2(y))
        return y[:, None].expand(-1, x.shape[1], -1)
