"""Tiny deterministic models, one per family, and tiny real ones of transformers.

Toys are non-linear: a linear toy hides unseeded noise.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from legenda.core.hooks import output_of, rewriting
from legenda.core.model import Run
from legenda.corpus.view_box import Preprocess
from legenda.models.encoder import encoder_of
from legenda.models.hub import dual_of
from legenda.models.module import ModuleModel

SENTENCES = ["a red house on sand", "a striped blue boat", "a tree and a pink star on fog"]


def pixels(count=3, side=8, seed=1):
    """Some pictures."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


class ToyEncoder(nn.Module):
    """Plain encoder: 4x4 patches of an 8x8 image, a linear site, a head over 5 classes."""

    name, ref, grid = "toy-encoder", "tests.toys:ToyEncoder", (2, 2)

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.patch = nn.Conv2d(3, 6, 4, 4)
        self.site = nn.Linear(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.site(self.patch(x).flatten(2).mT).tanh().mean(1))

    def acts(self, x):
        return output_of(self.site, lambda: self(x))

    def run(self, x, edit=None):
        seen = []

        def rewrite(out):
            seen.append(out if edit is None else edit(out))
            return seen[0]

        with rewriting(self.site, rewrite):
            output = self(x)
        return Run(seen[0], output)


class ToyReader(nn.Module):
    """Text tower: token ids, embedded and mixed; its output has width 5."""

    name, ref, grid = "toy-reader", "tests.toys:ToyReader", None

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.words, self.head = nn.Embedding(11, 6), nn.Linear(6, 5)

    def acts(self, x):
        return self.words(x).tanh()

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: self.head(acts.sin().mean(1)))


class ToyVAE(nn.Module):
    """VAE: one position, four latent dimensions, the site is the latent mean."""

    name, ref, grid = "toy-vae", "tests.toys:ToyVAE", (1, 1)

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder, self.decoder = nn.Linear(3 * 64, 4), nn.Linear(4, 3 * 64)

    def decode(self, acts):
        return self.decoder(acts[:, 0]).sigmoid().unflatten(1, (3, 8, 8))

    def acts(self, x):
        return self.encoder(x.flatten(1))[:, None]

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, lambda: self.decode(acts))


# ------------------------------------------------------- plain modules with odd return values


class Pair(NamedTuple):
    """What a module may return: a named tuple."""

    maps: torch.Tensor
    size: int


@dataclass
class Found:
    """What a module may return: a dataclass."""

    hidden_states: torch.Tensor
    size: int


class Stem(nn.Module):
    """A convolution that returns its maps in one of five packings."""

    def __init__(self, packing):
        super().__init__()
        self.conv, self.packing = nn.Conv2d(3, 6, 4, 4), packing

    def forward(self, x):
        maps = self.conv(x).tanh()
        return {
            "tensor": maps,
            "tuple": (maps, 4),
            "named": Pair(maps, 4),
            "dict": {"size": 4, "out": maps},
            "dataclass": Found(maps, 4),
        }[self.packing]


class Head(nn.Module):
    """Unpacks them, and gives five logits, packed the same way."""

    def __init__(self, packing):
        super().__init__()
        self.head, self.packing = nn.Linear(6, 5), packing

    def forward(self, packed):
        if isinstance(packed, tuple):
            packed = packed[0]
        elif isinstance(packed, dict):
            packed = packed["out"]
        elif isinstance(packed, Found):
            packed = packed.hidden_states
        logits = self.head(packed.sin().mean((2, 3)))
        return {"logits": logits} if self.packing == "dict" else logits


class Branching(nn.Module):
    """The same network, but no `nn.Sequential`: it cannot be split."""

    def __init__(self, packing):
        super().__init__()
        self.stem, self.head = Stem(packing), Head(packing)

    def forward(self, x):
        return self.head(self.stem(x))


PACKINGS = ("tensor", "tuple", "named", "dict", "dataclass")


def conv_model(packing="tensor", sequential=True):
    """A plain network, opened by its dotted site."""
    torch.manual_seed(0)
    net = nn.Sequential(Stem(packing), Head(packing)) if sequential else Branching(packing)
    name = f"conv-{packing}-{'sequence' if sequential else 'branching'}"
    return ModuleModel(net.eval(), "0" if sequential else "stem", name=name, example=pixels(2))


def plain_net():
    """A factory, as in `tests.toys:plain_net`."""
    torch.manual_seed(0)
    return Branching("tensor").eval()


def not_a_net():
    """A factory that makes no module."""
    return 3


def failing():
    """A factory that fails."""
    raise KeyError("weights")


def dual_factory():
    """A factory that makes a model of ours."""
    return tiny_dual("clip")


def half_net():
    """A factory of a network in half precision."""
    return plain_net().half()


# ------------------------------------------------------- tiny models of transformers

SMALL = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2
}  # fmt: skip
SQUARE = {"image_size": 16, "patch_size": 4}
VIEW = Preprocess((16, 16), "squash", False)


def shaken(model):
    """Larger random weights, biases too: a freshly built model hardly reacts to anything."""
    lot = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=lot))
    return model.eval().requires_grad_(False)


@cache
def words():
    """The tokenizer of the scenes world: small, and it reads anything."""
    from legenda.zoo.scenes.words import tokenizer

    return tokenizer()


def dual_network(kind):
    """A random CLIP, SigLIP or SigLIP2 of transformers."""
    import transformers

    read = words()
    ids = {f"{k}_token_id": getattr(read, f"{k}_token_id") for k in ("bos", "eos", "pad")}
    text = {**SMALL, **ids, "vocab_size": len(read), "max_position_embeddings": 24}
    torch.manual_seed(0)
    if kind == "clip":
        config = transformers.CLIPConfig(
            text_config=text, vision_config={**SMALL, **SQUARE}, projection_dim=12
        )
        return shaken(transformers.CLIPModel(config))
    text["projection_size"] = 16
    if kind == "siglip":
        config = transformers.SiglipConfig(text_config=text, vision_config={**SMALL, **SQUARE})
        return shaken(transformers.SiglipModel(config))
    vision = {**SMALL, "patch_size": 4, "num_patches": 16}
    config = transformers.Siglip2Config(text_config=text, vision_config=vision)
    return shaken(transformers.Siglip2Model(config))


@cache
def tiny_dual(kind="clip"):
    """The same, opened."""
    return dual_of(dual_network(kind), words(), VIEW, ref=f"tiny-{kind}")


def encoder_network(kind):
    """A random ViT, ViT classifier or DINOv2 (with registers) of transformers."""
    import transformers

    torch.manual_seed(0)
    if kind == "vit":
        return shaken(transformers.ViTModel(transformers.ViTConfig(**SMALL, **SQUARE)))
    if kind == "vit-classifier":
        config = transformers.ViTConfig(**SMALL, **SQUARE, num_labels=5)
        return shaken(transformers.ViTForImageClassification(config))
    small = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
    if kind == "dinov2":
        return shaken(transformers.Dinov2Model(transformers.Dinov2Config(**small, **SQUARE)))
    config = transformers.Dinov2WithRegistersConfig(**small, **SQUARE, num_register_tokens=2)
    return shaken(transformers.Dinov2WithRegistersModel(config))


@cache
def tiny_encoder(kind="vit"):
    """The same, opened."""
    return encoder_of(encoder_network(kind), VIEW, ref=f"tiny-{kind}")


DUALS = ("clip", "siglip", "siglip2")
ENCODERS = ("vit", "vit-classifier", "dinov2", "dinov2-registers")
