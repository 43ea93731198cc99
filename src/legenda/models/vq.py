"""Vector-quantised autoencoders: pictures as tokens, and tokens as pictures.

A `VQ` is a model whose site holds the codebook entries of its tokens, after quantisation and
before the decoder, and whose output is the decoded picture. So an edit of the acts is an
edit of tokens, and a gradient at the site is one at the token embeddings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from legenda.core.codebook import Codebook
from legenda.core.model import Edit, Embedded, Run
from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused, ShapeError, Unsupported
from legenda.types import Acts, Images, Tokens

Latents = Float[Tensor, "b d y x"]


@dataclass(frozen=True)
class VQ:
    """A vector-quantised autoencoder, opened at its quantised embeddings, `b c h w -> b n d`.

    Parameters
    ----------
    root: the network.
    codebook: its entries.
    encode: pixels to latents that are not quantised yet.
    unquantise: codebook entries, laid out on the grid, to pixels of the same range; None for a
        tokenizer without a decoder.
    preprocess: what a picture goes through before it.
    grid: rows and columns of tokens.
    name, ref: short name, and what `legenda.open` takes to open it again.
    about: what `legenda models` says of it.
    prior: a model of which tokens go together, where there is one.
    """

    root: nn.Module
    codebook: Codebook
    encode: Callable[[Any, Images], Latents] = field(repr=False)
    unquantise: Callable[[Any, Latents], Images] | None = field(repr=False)
    preprocess: Preprocess
    grid: tuple[int, int]
    name: str
    ref: str
    about: dict[str, str] = field(default_factory=dict, repr=False)
    prior: Any = field(default=None, repr=False)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.root.parameters()).device

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures as the encoder takes them."""
        return torch.stack([self.preprocess.apply(p) for p in pictures]).to(self.device)

    def visible(self, x: Images) -> Images:
        """What the decoder gives, as colours from 0 to 1."""
        mean, std = (x.new_tensor(v)[:, None, None] for v in (self.preprocess.mean, self.preprocess.std))  # fmt: skip # noqa: E501
        return (x.detach() * std + mean).clamp(0, 1)

    def bytes(self, x: Images) -> UInt8[Tensor, "b h w c"]:
        """The same as the bytes of pictures."""
        return (self.visible(x) * 255).round().byte().permute(0, 2, 3, 1)

    @torch.no_grad()
    def tokens(self, x: Images, batch: int = 64) -> Tokens:
        """The number of the entry at each position."""
        parts = [self.encode(self.root, part) for part in x.split(batch)]
        return torch.cat([self.codebook.nearest(laid(part))[0] for part in parts])

    def embed(self, tokens: Tokens) -> Acts:
        """The acts of tokens."""
        return self.codebook.embed(tokens)

    def decode(self, acts: Acts) -> Images:
        """Pictures from acts, which need not be entries of the codebook."""
        if self.unquantise is None:
            raise Unsupported(
                "Decoding", "a model with a decoder", self.name,
                "Its tokens can be read and explained, not shown.",
            )  # fmt: skip
        rows, columns = self.grid
        if acts.shape[1] != rows * columns:
            raise ShapeError(
                f"{self.name} decodes {rows} × {columns} = {rows * columns} positions; the acts "
                f"have {acts.shape[1]}. Give one act per token."
            )
        return self.unquantise(self.root, acts.mT.unflatten(2, self.grid))

    def acts(self, x: Images) -> Acts:
        return self.embed(self.tokens(x))

    def run(self, x: Images, edit: Edit | None = None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: self.decode(acts))

    def prefix(self, x: Images) -> Embedded:
        """The tokens of `x`, once; resuming only decodes."""
        return Embedded(self.acts(x), self.decode)


def laid(z: Latents) -> Acts:
    """Latents on their grid as one row of positions."""
    return z.flatten(2).mT


def vq_of(
    root: nn.Module,
    codebook: Codebook,
    encode: Callable[[Any, Images], Latents],
    unquantise: Callable[[Any, Latents], Images] | None,
    preprocess: Preprocess,
    *,
    ref: str,
    name: str = "",
    about: dict[str, str] | None = None,
) -> VQ:
    """Put an encoder, a codebook and a decoder together, and check that they belong together."""
    root = root.eval().requires_grad_(False)
    h, w = preprocess.size
    x = torch.rand(2, 3, h, w, generator=torch.Generator().manual_seed(0)) * 2 - 1
    name = name or ref
    with torch.no_grad():
        latents = encode(root, x)
    if latents.ndim != 4 or latents.shape[1] != codebook.atoms.shape[1]:
        raise Refused(
            f"{name} encodes {h} × {w} pixels as {tuple(latents.shape[1:])}; its codebook holds "
            f"entries of width {codebook.atoms.shape[1]}. Give the codebook it was trained with."
        )
    found = VQ(
        root, codebook, encode, unquantise, preprocess, (latents.shape[2], latents.shape[3]),
        name, ref, about or {},
    )  # fmt: skip
    if unquantise is None:
        return found
    with torch.no_grad():
        decoded = found.decode(found.acts(x))
    if decoded.shape != x.shape or not decoded.isfinite().all():
        what = "numbers that are not finite" if decoded.shape == x.shape else f"{tuple(decoded.shape[1:])}"  # fmt: skip # noqa: E501
        raise Refused(
            f"{name} decodes its own tokens as {what}, not as {tuple(x.shape[1:])}. "
            "Check its weights and its size."
        )
    return found


def with_prior(vq: VQ, prior: Any) -> VQ:
    """The same model, with a model of its tokens."""
    return replace(vq, prior=prior)
