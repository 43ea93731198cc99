from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from legenda.errors import BadInput, Unsupported
from legenda.models.dense import Dense, shared
from legenda.models.dual import Dual
from legenda.models.module import ModuleModel
from tests import toys
from tests.contracts import check_model


@pytest.mark.parametrize("kind", toys.DUALS)
def test_contract(kind):
    check_model(Dense(toys.tiny_dual(kind), 0.3), toys.pixels(2, 16))


class Patches(nn.Module):
    """A module that embeds each quarter of a picture, and pools them."""

    def __init__(self):
        super().__init__()
        self.read = nn.Conv2d(3, 16, 8, 8)
        with torch.no_grad():
            self.read.weight.copy_(
                torch.randn(self.read.weight.shape, generator=torch.Generator().manual_seed(0))
            )

    def dense(self, x):
        return self.read(x).tanh().flatten(2).mT

    def forward(self, x):
        return self.dense(x).mean(1)


def quarters():
    net = Patches().eval()
    like = toys.tiny_dual("siglip")
    image = ModuleModel(net, "read", name="quarters", ref="quarters", example=toys.pixels(1, 16))
    return Dual(image, like.text, toys.VIEW, like.words, "quarters", "quarters")


def test_contract_of_a_module_that_reads_its_patches_itself():
    dense = Dense(quarters(), 0.5)
    assert dense.grid == (2, 2) and dense.width == 16
    check_model(dense, toys.pixels(2, 16))


def by_value(root, x):
    """Equations (1) and (2), with attention replaced by looking at oneself only."""
    vision, kept = root.vision_model, []
    block = vision.encoder.layers[-1]
    hook = block.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    with torch.no_grad():
        vision(pixel_values=x)
    hook.remove()
    found = []
    for h in kept[0][0, 1:]:  # the class token is no patch
        own = block.layer_norm1(h)
        attention = block.self_attn
        value = attention.v_proj.weight @ own + attention.v_proj.bias
        v = h + attention.out_proj.weight @ value + attention.out_proj.bias
        found.append(root.visual_projection(vision.post_layernorm(v)))
    return torch.stack(found), kept[0][0, 1:]


def literal(said, held, gamma):
    """Equation (3), two patches at a time."""
    rows = []
    for p in range(len(said)):
        top, total = torch.zeros_like(said[0]), 0.0
        for q in range(len(said)):
            alike = float(torch.cosine_similarity(held[p], held[q], dim=0))
            if alike >= gamma:
                top, total = top + alike * said[q], total + alike
        rows.append(top / total)
    return torch.stack(rows)


@pytest.mark.parametrize("gamma", [0.2, 0.6])
def test_clip_patches_are_read_by_the_value_path(gamma):
    dual, x = toys.tiny_dual("clip"), toys.pixels(1, 16)
    with torch.no_grad():
        said, held = by_value(dual.image.root, x)
        slow = normalize(literal(said, held, gamma), dim=-1)
    torch.testing.assert_close(Dense(dual, gamma).acts(x)[0], slow, atol=2e-5, rtol=1e-4)


def test_siglip_patches_are_what_the_pooling_says_where_it_looks_at_one_only():
    dual, x = toys.tiny_dual("siglip"), toys.pixels(1, 16)
    vision = dual.image.root.vision_model
    with torch.no_grad():
        hidden = vision(pixel_values=x).last_hidden_state
        alone = torch.cat([vision.head(hidden[:, p : p + 1]) for p in range(hidden.shape[1])])
    found = Dense(dual, 1.0).acts(x)[0]
    torch.testing.assert_close(found, normalize(alone, dim=-1), atol=1e-5, rtol=1e-4)


def test_sharing_is_the_literal_sum():
    lot = torch.Generator().manual_seed(0)
    said, held = torch.randn(2, 5, 4, generator=lot), torch.randn(2, 5, 3, generator=lot)
    for gamma in (-1.0, 0.0, 0.5):
        slow = torch.stack([literal(s, h, gamma) for s, h in zip(said, held, strict=True)])
        torch.testing.assert_close(shared(said, held, gamma), slow, atol=1e-4, rtol=1e-4)


def test_at_one_nothing_is_shared_and_lower_shares_more():
    lot = torch.Generator().manual_seed(0)
    said, held = torch.randn(1, 9, 4, generator=lot), torch.randn(1, 9, 3, generator=lot)
    assert shared(said, held, 1.0) is said
    moved = [float((shared(said, held, g) - said).norm()) for g in (0.9, 0.6, 0.2)]
    assert moved == sorted(moved) and moved[0] < moved[-1]


def test_a_picture_of_its_own_does_not_depend_on_its_neighbours():
    dense, x = Dense(toys.tiny_dual("clip"), 0.3), toys.pixels(3, 16)
    torch.testing.assert_close(dense.acts(x)[1:2], dense.acts(x[1:2]), atol=1e-6, rtol=1e-5)


def test_gamma_is_the_models_own_where_none_is_given():
    assert Dense(toys.tiny_dual("clip")).gamma == 0.2
    assert Dense(toys.tiny_dual("clip")).ref.endswith("@patches(0.2)")


def test_refusals():
    with pytest.raises(BadInput, match="Dense needs gamma between -1 and 1; it got 3.0"):
        Dense(toys.tiny_dual("clip"), 3.0)
    with pytest.raises(Unsupported) as said:
        Dense(replace(toys.tiny_dual("clip"), image=toys.tiny_encoder("vit").image))
    assert str(said.value) == (
        "Dense needs patches in the space of sentences (CLIP, SigLIP, or a module with `dense`); "
        "tiny-clip has none. Open one of those, or survey its neurons without names."
    )
