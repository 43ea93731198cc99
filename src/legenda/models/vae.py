"""Variational autoencoders, opened at their latent variables.

A `VAE` is a model whose site holds the mean of its posterior: one vector (n = 1), or one at every
position of a grid. Its output is the decoded picture, so an edit of the acts is an edit of latents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from legenda.core.latent import Colours, Posterior
from legenda.core.model import Edit, Embedded, Run
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Refused, ShapeError, Unsupported
from legenda.types import Acts, Images

Encode = Callable[[Any, Images], Any]
COLOURS = Preprocess((64, 64), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Pictures as colours from 0 to 1."""


@dataclass(frozen=True)
class VAE:
    """An autoencoder with latent variables, opened at them, `b c h w -> b n d`.

    Parameters
    ----------
    root: the network.
    encode: pixels to (mean, log-variance), or to a mean alone: (b d) or (b d y x).
    unlatent: latents, shaped as `encode` gives them, to pixels of the range that it takes.
    preprocess: what a picture goes through before it.
    channels: 1 where the network takes grey pictures.
    grid: rows and columns of positions; (1, 1) where a picture is one vector.
    spatial: whether `encode` gives maps (b d y x).
    width: how many latents.
    name, ref: short name, and what `legenda.open` takes to open it again.
    about: what `legenda models` says of it.
    """

    root: nn.Module
    encode: Encode = field(repr=False)
    unlatent: Callable[[Any, Tensor], Images] = field(repr=False)
    preprocess: Preprocess
    channels: int
    grid: tuple[int, int]
    spatial: bool
    width: int
    name: str
    ref: str
    about: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.root.parameters()).device

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures as the encoder takes them; colours become grey for a grey model."""
        x = torch.stack([self.preprocess.apply(p) for p in pictures])
        return (x.mean(1, keepdim=True) if self.channels == 1 else x).to(self.device)

    def visible(self, x: Images) -> Colours:
        """Pixels as colours from 0 to 1, three channels."""
        mean, std = (x.new_tensor(v)[:, None, None] for v in (self.preprocess.mean, self.preprocess.std))  # fmt: skip # noqa: E501
        return (x.detach().expand(-1, 3, -1, -1) * std + mean).clamp(0, 1)

    def posterior(self, x: Images) -> Posterior:
        """Mean and log-variance of every latent."""
        return posterior(self.encode(self.root, x))

    def acts(self, x: Images) -> Acts:
        return self.posterior(x).mean

    def decode(self, acts: Acts) -> Images:
        """Pictures from latents."""
        rows, columns = self.grid
        if acts.shape[1:] != (rows * columns, self.width):
            raise ShapeError(
                f"{self.name} decodes {rows * columns} × {self.width} latents per picture; it got "
                f"{acts.shape[1]} × {acts.shape[2]}. Give one value for each."
            )
        return self.unlatent(self.root, acts.mT.unflatten(2, self.grid) if self.spatial else acts[:, 0])  # fmt: skip # noqa: E501

    def run(self, x: Images, edit: Edit | None = None) -> Run:
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: self.decode(acts))

    def prefix(self, x: Images) -> Embedded:
        """The latents of `x`, once; resuming only decodes."""
        return Embedded(self.acts(x), self.decode)


def posterior(out: Any) -> Posterior:
    """What an encoder returned, read as a Gaussian or a point.

    A pair is (mean, log-variance); of diffusers, `latent_dist` or `latents`.
    """
    out = getattr(out, "latent_dist", out)
    out = getattr(out, "latents", out)
    if hasattr(out, "mean") and hasattr(out, "logvar"):
        out = (out.mean, out.logvar)
    parts = out if isinstance(out, tuple | list) else (out,)
    if not parts or not all(isinstance(p, Tensor) and p.ndim in (2, 4) for p in parts[:2]):
        raise Refused(
            "an encoder must return (mean, log-variance), or a mean alone, (b d) or (b d y x); "
            f"this one returned {type(out).__name__}. Wrap it in a function that does."
        )
    return Posterior(*(_laid(p) for p in parts[:2]))


def _laid(z: Tensor) -> Acts:
    return z.flatten(2).mT if z.ndim == 4 else z[:, None]


def vae_of(
    root: nn.Module,
    encode: Encode,
    unlatent: Callable[[Any, Tensor], Images],
    preprocess: Preprocess,
    channels: int = 3,
    *,
    ref: str,
    name: str = "",
    about: dict[str, str] | None = None,
) -> VAE:
    """Put an encoder and a decoder together, and check that they belong together."""
    root, name = root.eval().requires_grad_(False), name or ref
    x = torch.rand(2, channels, *preprocess.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = encode(root, x)
        found = posterior(out)
    rows, columns = _grid(out)
    spatial = _first(out).ndim == 4
    vae = VAE(
        root, encode, unlatent, preprocess, channels, (rows, columns), spatial,
        found.mean.shape[2], name, ref, about or {},
    )  # fmt: skip
    with torch.no_grad():
        decoded = vae.decode(found.mean)
    if decoded.shape != x.shape or not decoded.isfinite().all():
        what = "numbers that are not finite" if decoded.shape == x.shape else f"{tuple(decoded.shape[1:])}"  # fmt: skip # noqa: E501
        raise Refused(
            f"{name} decodes its own latents as {what}, not as {tuple(x.shape[1:])}. "
            "Check its weights and its size."
        )
    return vae


def from_module(module: nn.Module, *, ref: str, name: str = "") -> VAE:
    """Any module with `encode` (to mean and log-variance) and `decode`, and a `side`.

    `channels`, `preprocess` are read where the module has them. A decoder may return an object
    with `sample`.
    """
    encode, decode = getattr(module, "encode", None), getattr(module, "decode", None)
    if not callable(encode) or not callable(decode):
        raise Unsupported(
            "Reading latents", "a model with `encode` and `decode`", name or ref,
            "For encoders use `legenda survey`, whose units need no decoder.",
        )  # fmt: skip
    if getattr(module, "conditions", 0):
        module, encode = module, _unconditioned
    else:
        encode = _encoded
    preprocess = getattr(module, "preprocess", None)
    if preprocess is None:
        side = getattr(module, "side", None)
        if side is None:
            raise BadInput(
                f"{name or ref} does not say how large its pictures are. Give it an attribute "
                "`side`, or a `preprocess`."
            )
        preprocess = Preprocess((side, side), mean=COLOURS.mean, std=COLOURS.std)
    channels = int(getattr(module, "channels", 3))
    return vae_of(module.float(), encode, _decoded, preprocess, channels, ref=ref, name=name)


def _encoded(module: Any, x: Images) -> Any:
    return module.encode(x)


def _unconditioned(module: Any, x: Images) -> Any:
    return module.encode(x, x.new_zeros(len(x), module.conditions))


def _decoded(module: Any, z: Tensor) -> Images:
    more = getattr(module, "conditions", 0)
    out = module.decode(z, z.new_zeros(len(z), more)) if more else module.decode(z)
    return getattr(out, "sample", out)


def _first(out: Any) -> Tensor:
    out = getattr(getattr(out, "latent_dist", out), "latents", getattr(out, "latent_dist", out))
    out = out.mean if not isinstance(out, Tensor) and hasattr(out, "logvar") else out
    return out[0] if isinstance(out, tuple | list) else out


def _grid(out: Any) -> tuple[int, int]:
    first = _first(out)
    return (first.shape[2], first.shape[3]) if first.ndim == 4 else (1, 1)
