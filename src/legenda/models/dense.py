"""Dense features in the space of sentences: what each patch of a dual encoder would say alone.

The last block of a CLIP tower mixes all positions into the one that is pooled. Without the mixing,
a patch is read by the value path alone, then by the tower's own norm and projection W:

    v_p = h_p + W_o W_v norm₁(h_p)                                        (1)
    f_p = W norm(v_p)                                                     (2)

with h the input of the last block. Patches that look alike to the tower share what they say:

    F_p = Σ_q ρ_pq f_q / Σ_q ρ_pq,   ρ_pq = cos(h_p, h_q), 0 where below γ  (3)
    acts_p = F_p / ‖F_p‖

The output is the mean over all positions, normalised. A SigLIP tower pools by attention from a
learned probe; its value path is the same with the pooling's own W_v, W_o and perceptron, and the
patches that it pools as h. A module that has a method `dense(pixels)` gives f itself,
which also serves as h.

Differs from CLIP-DINOiser: ρ comes from the tower's own activations, not from a convolution that
was trained to imitate DINO (its weights are on a hub, and could not be checked here), which is
why γ is a field; the perceptron of the last block is left out, which read scenes better.

References
----------
Zhou, Loy, Dai. Extract free dense labels from CLIP. ECCV 2022. (1) and (2).
Wysoczańska, Siméoni, Ramamonjisoa, Bursuc, Trzciński, Pérez. CLIP-DINOiser: teaching CLIP a few
DINO tricks for open-vocabulary semantic segmentation. ECCV 2024. (3), and γ = 0.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from legenda.core.model import Edit, Embedded, Run
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Unsupported
from legenda.models.dual import Dual
from legenda.models.module import ModuleModel
from legenda.models.towers import Tower
from legenda.types import Acts, Images

Said = Float[Tensor, "b n e"]
Reading = Callable[[Images], tuple[Said, Acts]]
"""For images: f of equation (2), and h, by which patches are compared."""


@dataclass(frozen=True)
class Dense:
    """A dual encoder opened at its patches' own embeddings, `b c h w -> b n e`.

    It is a model whose acts are of unit length and comparable with `embed_text`.

    Parameters
    ----------
    dual: the model.
    gamma: least cosine of two patches that share what they say; higher lets fewer share, and 1
        none.
    """

    dual: Dual
    gamma: float | None = None
    reading: Reading = field(init=False, repr=False, compare=False)
    grid: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the way to read patches, and refuse a tower that has none."""
        gamma = self.dual.gamma if self.gamma is None else self.gamma
        if not -1 <= gamma <= 1:
            raise BadInput(f"Dense needs gamma between -1 and 1; it got {gamma}.")
        reading, grid = reading_of(self.dual)
        for name, value in (("gamma", gamma), ("reading", reading), ("grid", grid)):
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        return f"{self.dual.name}/patches"

    @property
    def ref(self) -> str:
        return f"{self.dual.ref}@patches({self.gamma:g})"

    @property
    def device(self) -> torch.device:
        return self.dual.device

    @property
    def module(self) -> nn.Module:
        """The network whose patches are read."""
        tower: Any = self.dual.image
        return tower.root if isinstance(tower, Tower) else tower.module

    @property
    def preprocess(self) -> Preprocess:
        return self.dual.preprocess

    @property
    def templates(self) -> dict[str, tuple[str, ...]]:
        """Sentences that words are put in, where the model has its own."""
        return self.dual.templates

    @property
    def width(self) -> int:
        """Width of the joint space, e."""
        side = self.preprocess.size
        return self.acts(torch.zeros(1, 3, *side, device=self.device)).shape[-1]

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures as the image tower takes them."""
        return self.dual.pixels(pictures)

    def embed_text(self, texts: Sequence[str], batch: int = 256) -> Float[Tensor, "t e"]:
        """Embeddings of sentences, normalised."""
        return self.dual.embed_text(texts, batch)

    @torch.no_grad()
    def acts(self, x: Images) -> Acts:
        """Equations (1) to (3)."""
        said, held = self.reading(x)
        return normalize(shared(said, held, float(self.gamma or 0)), dim=-1)

    def run(self, x: Images, edit: Edit | None = None) -> Run:
        acts = self.acts(x)
        acts = acts if edit is None else edit(acts)
        return Run(acts, lambda: pooled(acts))

    def prefix(self, x: Images) -> Embedded:
        return Embedded(self.acts(x), pooled)


def shared(said: Said, held: Acts, gamma: float) -> Said:
    """Equation (3)."""
    if gamma >= 1:
        return said
    unit = normalize(held, dim=-1)
    alike = unit @ unit.mT
    alike = alike.where(alike >= gamma, 0.0)
    return (alike @ said) / alike.sum(-1, keepdim=True)


def pooled(acts: Said) -> Float[Tensor, "b e"]:
    """The picture's embedding: the mean of its patches, normalised."""
    return normalize(acts.mean(1), dim=-1)


def reading_of(dual: Any) -> tuple[Reading, tuple[int, int]]:
    """How patches of a dual encoder are read, and their grid."""
    tower = getattr(dual, "image", None)
    if isinstance(tower, ModuleModel) and hasattr(tower.module, "dense"):
        return of_module(tower.module, dual)
    root = getattr(tower, "root", None)
    vision = getattr(root, "vision_model", None)
    if isinstance(tower, Tower) and tower.grid and vision is not None and tower.depth > 1:
        held = tower.at(tower.depth - 2)
        if hasattr(root, "visual_projection"):
            return of_clip(held, vision, root.visual_projection), tower.grid  # pyright: ignore
        if hasattr(vision, "head") and hasattr(vision.head, "probe"):
            return of_siglip(tower.at(tower.depth - 1), vision), tower.grid
    raise Unsupported(
        "Dense", "patches in the space of sentences (CLIP, SigLIP, or a module with `dense`)",
        getattr(dual, "name", type(dual).__name__),
        "Open one of those, or survey its neurons without names.",
    )  # fmt: skip


def of_module(module: Any, dual: Dual) -> tuple[Reading, tuple[int, int]]:
    """A module that gives the embedding of every place itself; they are compared by it, too."""

    def read(x: Images) -> tuple[Said, Acts]:
        said = module.dense(x)
        return said, said

    side = dual.preprocess.size
    with torch.no_grad():
        count = read(torch.zeros(1, 3, *side, device=dual.device))[0].shape[1]
    rows = round((count * side[0] / side[1]) ** 0.5)
    return read, (rows, count // rows)


def of_clip(held: Tower, vision: Any, projection: nn.Module) -> Reading:
    """Equations (1) and (2) for a CLIP tower of transformers."""
    block = list(vision.encoder.layers)[-1]
    attention = block.self_attn

    def read(x: Images) -> tuple[Said, Acts]:
        h = patches(held, x)
        value = h + attention.out_proj(attention.v_proj(block.layer_norm1(h)))  # (1)
        return projection(vision.post_layernorm(value)), h  # (2)

    return read


def of_siglip(held: Tower, vision: Any) -> Reading:
    """The value path of a pooling by attention."""
    head = vision.head
    attention: nn.MultiheadAttention = head.attention

    def read(x: Images) -> tuple[Said, Acts]:
        h = patches(held, x)
        d = h.shape[-1]
        weight, bias = attention.in_proj_weight[2 * d :], attention.in_proj_bias[2 * d :]
        value = nn.functional.linear(vision.post_layernorm(h), weight, bias)
        value = attention.out_proj(value)
        return value + head.mlp(head.layernorm(value)), h

    return read


def patches(tower: Tower, x: Images) -> Acts:
    """The acts of a tower at its patches; special positions are left out."""
    acts = tower.acts(x)
    special, _ = tower.marks(x, acts.shape[1])
    return acts[:, ~special[0]]
