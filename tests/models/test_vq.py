import re

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, group_norm, interpolate, pad

from legenda.core.codebook import Codebook
from legenda.core.units import Units
from legenda.corpus.view_box import Preprocess
from legenda.errors import Refused, ShapeError, Unsupported
from legenda.intervene.edits import swap
from legenda.models.opening import open_model
from legenda.models.vq import vq_of
from legenda.models.vq_hub import diffusers_vq, from_taming, transformers_vq
from tests.contracts import check_lift, check_model

ATTENDING = {
    "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
    "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
}


def pixels(count=2, side=16, seed=1):
    lot = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, generator=lot) * 2 - 1


def diffusers_network(**changes):
    """A tiny random VQGAN; its codebook is stretched, so that more than one entry is used."""
    from diffusers import VQModel

    torch.manual_seed(0)
    config = {
        "block_out_channels": (32, 64), "layers_per_block": 1, "latent_channels": 4,
        "sample_size": 16, "num_vq_embeddings": 20, "vq_embed_dim": 4, **ATTENDING, **changes,
    }  # fmt: skip
    model = VQModel(**config).eval()
    model.quantize.embedding.weight.data.normal_(0, 0.4)
    return model


def family(kind):
    """A tiny random VQ autoencoder of transformers."""
    import transformers

    torch.manual_seed(0)
    size = {
        "num_embeddings": 20, "embed_dim": 8, "latent_channels": 8, "base_channels": 32,
        "channel_multiplier": [1, 2], "num_res_blocks": 1,
    }  # fmt: skip
    if kind == "janus":
        config = transformers.JanusVQVAEConfig(**size, num_patches=8)
        return transformers.JanusVQVAE(config).eval()
    if kind == "chameleon":
        config = transformers.ChameleonVQVAEConfig(**size, resolution=16)
        return transformers.ChameleonVQVAE(config).eval()
    size |= {"embed_dim": 4, "latent_channels": 4, "codebook_size": size.pop("num_embeddings")}
    config = transformers.Emu3VQVAEConfig(**size, hidden_size=64, num_attention_heads=1)
    return transformers.Emu3VQVAE(config).eval()


def test_it_keeps_the_contract_of_a_model_and_of_units():
    vq = diffusers_vq(diffusers_network(), ref="tiny-vq")
    check_model(vq, pixels())
    check_lift(Units(vq, vq.codebook), pixels())


def test_what_it_decodes_is_what_the_library_decodes():
    model = diffusers_network()
    vq, x = diffusers_vq(model, ref="tiny-vq"), pixels()
    with torch.no_grad():
        theirs = model(x).sample
        latents = model.encode(x).latents
    assert not torch.equal(latents, vq.acts(x).mT.unflatten(2, (8, 8))), "theirs are unquantised"
    torch.testing.assert_close(vq.run(x).output, theirs)
    assert len(vq.tokens(x).unique()) > 3


def test_a_swapped_token_is_another_picture():
    vq, x = diffusers_vq(diffusers_network(), ref="tiny-vq"), pixels()
    units, tokens = Units(vq, vq.codebook), vq.tokens(x)
    old, new = int(tokens[0, 0]), int((tokens[0, 0] + 1) % 20)
    edited = vq.run(x, edit=units.lift(swap(old, new)))
    torch.testing.assert_close(edited.acts, vq.embed(tokens.where(tokens != old, new)))
    assert not torch.equal(edited.output, vq.run(x).output)


def test_batches_change_no_token():
    vq, x = diffusers_vq(diffusers_network(), ref="tiny-vq"), pixels(5)
    assert torch.equal(vq.tokens(x, batch=2), vq.tokens(x))


@pytest.mark.parametrize("kind", ["janus", "emu3"])
def test_the_families_of_transformers_decode_as_they_do(kind, monkeypatch):
    model = family(kind)
    if kind == "emu3":  # any size goes in; 256 is the size it was made for
        monkeypatch.setattr("legenda.models.vq_hub.EMU3_SIDE", 16)
    vq, x = transformers_vq(model, ref=f"tiny-{kind}"), pixels()
    tokens = vq.tokens(x)
    with torch.no_grad():
        if kind == "emu3":
            theirs = torch.stack(model.encode(x, image_sizes=torch.tensor([[16, 16]] * 2)).image_tokens)  # fmt: skip # noqa: E501
            decoded = model.decode(theirs)
        else:
            theirs = model.encode(x).image_tokens.view(2, -1)
            decoded = model.decode(theirs)
    assert torch.equal(tokens, theirs.view(2, -1))
    torch.testing.assert_close(vq.decode(vq.embed(tokens)), decoded, rtol=1e-4, atol=1e-5)


def test_a_tokenizer_without_a_decoder_still_gives_tokens():
    model = family("chameleon")
    vq, x = transformers_vq(model, ref="tiny-chameleon"), pixels()
    assert torch.equal(vq.tokens(x).flatten(), model.encode(x).image_tokens)
    with pytest.raises(Unsupported) as caught:
        _ = vq.run(x).output
    assert str(caught.value) == (
        "Decoding needs a model with a decoder; tiny-chameleon has none. "
        "Its tokens can be read and explained, not shown."
    )


# ----------------------------------------------------- taming-transformers, by its description


def taming_weights(seed=0):
    """Random weights laid out as a VQGAN checkpoint of taming-transformers is."""
    lot, weights = torch.Generator().manual_seed(seed), {}

    def add(name, *shape):
        scale = 1.0 if name.endswith("norm.weight") or len(shape) == 1 else shape[1] ** -0.5
        weights[name] = torch.randn(shape, generator=lot) * 0.3 * scale + ("norm" in name and name.endswith("weight"))  # fmt: skip # noqa: E501

    def conv(name, out, inner, side):
        add(f"{name}.weight", out, inner, side, side)
        add(f"{name}.bias", out)

    def norm(name, width):
        add(f"{name}.weight", width)
        add(f"{name}.bias", width)

    def block(name, inner, out):
        norm(f"{name}.norm1", inner)
        conv(f"{name}.conv1", out, inner, 3)
        norm(f"{name}.norm2", out)
        conv(f"{name}.conv2", out, out, 3)
        if inner != out:
            conv(f"{name}.nin_shortcut", out, inner, 1)

    def attention(name, width):
        norm(f"{name}.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{name}.{part}", width, width, 1)

    def middle(side, width):
        block(f"{side}.mid.block_1", width, width)
        attention(f"{side}.mid.attn_1", width)
        block(f"{side}.mid.block_2", width, width)

    conv("encoder.conv_in", 32, 3, 3)
    block("encoder.down.0.block.0", 32, 32)
    conv("encoder.down.0.downsample.conv", 32, 32, 3)
    block("encoder.down.1.block.0", 32, 64)
    attention("encoder.down.1.attn.0", 64)
    middle("encoder", 64)
    norm("encoder.norm_out", 64)
    conv("encoder.conv_out", 6, 64, 3)
    conv("quant_conv", 4, 6, 1)
    add("quantize.embedding.weight", 20, 4)
    conv("post_quant_conv", 6, 4, 1)
    conv("decoder.conv_in", 64, 6, 3)
    middle("decoder", 64)
    for j in range(2):
        block(f"decoder.up.1.block.{j}", 64, 64)
        attention(f"decoder.up.1.attn.{j}", 64)
        block(f"decoder.up.0.block.{j}", 64 if j == 0 else 32, 32)
    conv("decoder.up.1.upsample.conv", 64, 64, 3)
    norm("decoder.norm_out", 32)
    conv("decoder.conv_out", 3, 32, 3)
    add("loss.discriminator.main.0.weight", 8, 3, 4, 4)
    return weights


class Described:
    """A VQGAN as its paper and code base describe it, written out from raw weights."""

    def __init__(self, weights):
        self.w = weights

    def conv(self, name, x, **how):
        return conv2d(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], **how)

    def norm(self, name, x):
        return group_norm(x, 32, self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-6)

    def block(self, name, x):
        h = self.norm(f"{name}.norm1", x)
        h = self.conv(f"{name}.conv1", h * h.sigmoid(), padding=1)
        h = self.norm(f"{name}.norm2", h)
        h = self.conv(f"{name}.conv2", h * h.sigmoid(), padding=1)
        short = f"{name}.nin_shortcut"
        return h + (self.conv(short, x) if f"{short}.weight" in self.w else x)

    def attention(self, name, x):
        b, c, h, w = x.shape
        q, k, v = (self.conv(f"{name}.{p}", self.norm(f"{name}.norm", x)).flatten(2) for p in "qkv")
        share = (q.mT @ k * c**-0.5).softmax(2)
        return x + self.conv(f"{name}.proj_out", (v @ share.mT).view(b, c, h, w))

    def middle(self, side, x):
        x = self.attention(f"{side}.mid.attn_1", self.block(f"{side}.mid.block_1", x))
        return self.block(f"{side}.mid.block_2", x)

    def end(self, side, x):
        x = self.norm(f"{side}.norm_out", x)
        return self.conv(f"{side}.conv_out", x * x.sigmoid(), padding=1)

    def encode(self, x):
        x = self.conv("encoder.conv_in", x, padding=1)
        x = self.block("encoder.down.0.block.0", x)
        x = self.conv("encoder.down.0.downsample.conv", pad(x, (0, 1, 0, 1)), stride=2)
        x = self.attention("encoder.down.1.attn.0", self.block("encoder.down.1.block.0", x))
        return self.conv("quant_conv", self.end("encoder", self.middle("encoder", x)))

    def decode(self, entries):
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", entries), padding=1)
        x = self.middle("decoder", x)
        for j in range(2):
            x = self.attention(f"decoder.up.1.attn.{j}", self.block(f"decoder.up.1.block.{j}", x))
        x = self.conv("decoder.up.1.upsample.conv", interpolate(x, scale_factor=2.0), padding=1)
        for j in range(2):
            x = self.block(f"decoder.up.0.block.{j}", x)
        return self.end("decoder", x)


def test_a_checkpoint_of_taming_decodes_as_its_description_does():
    weights, x = taming_weights(), pixels()
    plain, vq = Described(weights), diffusers_vq(from_taming(weights, 16), ref="taming")
    with torch.no_grad():
        latents = plain.encode(x)
        gaps = (latents.flatten(2).mT[:, :, None] - weights["quantize.embedding.weight"]).norm(dim=-1)  # fmt: skip # noqa: E501
        tokens = gaps.argmin(-1)
        entries = weights["quantize.embedding.weight"][tokens].mT.unflatten(2, (8, 8))
        decoded = plain.decode(entries)
    assert torch.equal(vq.tokens(x), tokens)
    assert len(tokens.unique()) > 3
    torch.testing.assert_close(vq.run(x).output, decoded, rtol=1e-4, atol=1e-4)


def test_checkpoints_open_by_path(tmp_path):
    weights = taming_weights()
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "last.ckpt")
    save_file(weights, tmp_path / "vqgan.safetensors")
    torch.save(weights["quant_conv.weight"], tmp_path / "odd.ckpt")
    opened = [open_model(str(tmp_path / n)) for n in ("last.ckpt", "vqgan.safetensors")]
    x = pixels(1, 256)
    assert torch.equal(opened[0].run(x).output, opened[1].run(x).output)
    with pytest.raises(Refused, match="odd.ckpt holds no weights by name"):
        open_model(str(tmp_path / "odd.ckpt"))


def test_a_pickle_that_holds_more_than_weights_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"state_dict": taming_weights(), "callbacks": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(Refused, match="Save its state_dict as safetensors where you trust"):
        open_model(str(tmp_path / "last.ckpt"))
    assert not (tmp_path / "sprung").exists()


def test_folders_open_by_what_their_config_says(tmp_path):
    model = diffusers_network()
    model.save_pretrained(tmp_path / "vq")
    vq = open_model(str(tmp_path / "vq"))
    assert torch.equal(vq.run(pixels()).output, diffusers_vq(model, ref="x").run(pixels()).output)
    janus = family("janus")
    janus.save_pretrained(tmp_path / "janus")
    assert open_model(str(tmp_path / "janus")).grid == (8, 8)


def test_what_has_no_codebook_is_refused(tmp_path):
    from diffusers import AsymmetricAutoencoderKL

    AsymmetricAutoencoderKL().save_pretrained(tmp_path / "vae")
    with pytest.raises(Refused) as caught:
        open_model(str(tmp_path / "vae"))
    assert re.sub(r".*/", "", str(caught.value)) == (
        "vae is a AsymmetricAutoencoderKL, which is not opened here. Give a VQModel, or fit a "
        "codebook to it with legenda.models.fitted.open_autoencoder."
    )


def test_parts_that_do_not_belong_together_are_refused():
    model = diffusers_network()
    x, encode = Preprocess((16, 16)), lambda m, x: m.quant_conv(m.encoder(x))
    decode = lambda m, z: m.decode(z, force_not_quantize=True).sample  # noqa: E731
    with pytest.raises(Refused) as caught:
        vq_of(model, Codebook(torch.randn(9, 5)), encode, decode, x, ref="mixed")
    assert str(caught.value) == (
        "mixed encodes 16 × 16 pixels as (4, 8, 8); its codebook holds entries of width 5. "
        "Give the codebook it was trained with."
    )
    book = Codebook(model.quantize.embedding.weight)
    with pytest.raises(Refused, match=r"decodes its own tokens as \(3, 8, 8\), not as"):
        vq_of(model, book, encode, lambda m, z: z[:, :3], x, ref="mixed")
    vq = vq_of(model, book, encode, decode, x, ref="whole")
    with pytest.raises(ShapeError, match="decodes 8 × 8 = 64 positions; the acts have 63"):
        vq.decode(torch.zeros(1, 63, 4))


def test_other_weights_are_no_vqgan():
    weights = taming_weights()
    del weights["decoder.conv_in.weight"]
    with pytest.raises(Refused, match=r"do not fit .*: 1 are missing and 0 unknown"):
        from_taming(weights)
    with pytest.raises(Refused, match="is missing. Give the checkpoint of a VQModel"):
        from_taming({"a": torch.zeros(1)})
