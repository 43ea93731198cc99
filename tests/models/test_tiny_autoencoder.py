"""Tiny autoencoders: read from the names of their weights, and studied channel by channel."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.stats import norm
from torch.nn.functional import conv2d

from legenda.core.dictionary import Identity
from legenda.core.latent import Latent
from legenda.core.units import Units
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Missing, Refused
from legenda.models.tiny_autoencoder import (
    TinyAutoencoder,
    is_tiny,
    open_tiny,
    tiny_autoencoder,
)
from legenda.models.vae import COLOURS, vae_of
from legenda.models.vae_hub import diffusers_vae
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latents import study

CHELSEA = Path(__file__).parents[2] / "src/legenda/zoo/pictures/chelsea.jpg"


def halves(net):
    """The weights as they are published: two files, in half precision."""
    return [
        {n: w.half().contiguous() for n, w in part.state_dict().items()}
        for part in (net.encoder, net.decoder)
    ]


def kept(folder, net, name="small"):
    for part, weights in zip(("encoder", "decoder"), halves(net), strict=True):
        save_file(weights, folder / f"{name}_{part}.safetensors")
    return folder


def random(width=6, looking=8, latents=4, seed=0):
    """A network of the layout, with norms that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TinyAutoencoder(width, looking, latents)
        for name, weight in net.named_parameters():
            if ".pool.1." in name:
                weight.data = torch.randn(weight.shape) + 0.5
    for weight in net.parameters():
        weight.data = weight.data.half().float()
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return open_tiny(kept(tmp_path_factory.mktemp("tiny"), random()), "tiny", side=32)


# ------------------------------------------------------------------------------- literal twin


def slow_block(x, w, name):
    """A block, from its weights alone."""
    if f"{name}.pool.0.weight" in w:
        spread = conv2d(x, w[f"{name}.pool.0.weight"])
        rows = []
        for picture in spread:
            parts = []
            for part in picture.chunk(4):
                there = part.double()
                normal = (there - there.mean()) / (there.var(correction=0) + 1e-5).sqrt()
                parts.append(normal.float())
            rows.append(torch.cat(parts))
        scale, shift = w[f"{name}.pool.1.weight"], w[f"{name}.pool.1.bias"]
        seen = (torch.stack(rows) * scale[:, None, None] + shift[:, None, None]).clamp(min=0)
        x = x + conv2d(seen, w[f"{name}.pool.3.weight"])
    y = conv2d(x, w[f"{name}.conv.0.weight"], w[f"{name}.conv.0.bias"], padding=1).clamp(min=0)
    y = conv2d(y, w[f"{name}.conv.2.weight"], w[f"{name}.conv.2.bias"], padding=1).clamp(min=0)
    y = conv2d(y, w[f"{name}.conv.4.weight"], w[f"{name}.conv.4.bias"], padding=1)
    return (x + y).clamp(min=0)


def slow_encode(x, w):
    x = conv2d(x, w["0.weight"], w["0.bias"], padding=1)
    for i in range(1, 14):
        if i in (2, 6, 10):
            x = conv2d(x, w[f"{i}.weight"], stride=2, padding=1)
        else:
            x = slow_block(x, w, i)
    return conv2d(x, w["14.weight"], w["14.bias"], padding=1)


def slow_decode(z, w):
    z = 3 * torch.tanh(z / 3)
    x = conv2d(z, w["1.weight"], w["1.bias"], padding=1).clamp(min=0)
    for i in range(3, 19):
        if i in (6, 11, 16):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        elif i in (7, 12, 17):
            x = conv2d(x, w[f"{i}.weight"], padding=1)
        else:
            x = slow_block(x, w, i)
    return conv2d(x, w["19.weight"], w["19.bias"], padding=1)


def test_it_is_its_weights_read_slowly():
    net, x = random(), torch.rand(2, 3, 24, 32)
    z = net.encode(x)
    assert z.shape == (2, 4, 3, 4)
    torch.testing.assert_close(z, slow_encode(x, net.encoder.state_dict()), rtol=1e-4, atol=1e-5)
    far = 6 * torch.randn(z.shape)
    slow = slow_decode(far, net.decoder.state_dict())
    torch.testing.assert_close(net.decode(far), slow, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------- laws


def test_only_a_net_that_looks_sees_far():
    x = torch.rand(1, 3, 256, 8)
    other = x.clone()
    other[..., 200:, :] = 0
    for looking, same in ((0, True), (8, False)):
        net = random(looking=looking)
        assert torch.equal(net.encode(x)[..., 0, :], net.encode(other)[..., 0, :]) == same


def test_no_latent_counts_for_more_than_the_limit():
    net, sign = random(), torch.randn(1, 4, 2, 2).sign()
    torch.testing.assert_close(net.decode(1e4 * sign), net.decode(1e3 * sign))
    assert not torch.allclose(net.decode(3 * sign), net.decode(1e3 * sign))


def test_a_batch_changes_nothing():
    net, x = random(), torch.rand(3, 3, 16, 16)
    alone = torch.cat([net.decode(net.encode(one[None])) for one in x])
    torch.testing.assert_close(net.decode(net.encode(x)), alone, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------------- opening


def test_a_folder_opens_at_its_grid(small):
    checked: object = small
    assert isinstance(checked, Latent)
    assert (small.name, small.ref, small.width, small.grid) == ("small", "tiny", 4, (4, 4))
    assert small.about["kind"] == "tiny autoencoder, 4 latents at 4 × 4 positions"
    assert small.root.encoder[0].weight.dtype == torch.float32
    x, net = torch.rand(2, 3, 32, 32), random()
    z = small.acts(x)
    assert z.shape == (2, 16, 4) and small.posterior(x).log_variance is None
    assert torch.equal(z, net.encode(x).flatten(2).mT), "what was written was read"
    assert torch.equal(small.decode(z), net.decode(net.encode(x)))
    run = small.run(x, lambda acts: acts.clamp(max=0))
    assert torch.equal(run.output, small.decode(z.clamp(max=0)))


def test_it_opens_at_any_side_it_can_halve_thrice(tmp_path):
    folder = kept(tmp_path, random(looking=0))
    opened = open_tiny(folder, "tiny")
    assert (opened.preprocess.size, opened.grid) == ((256, 256), (32, 32))
    z = opened.acts(torch.rand(1, 3, 256, 256))
    assert opened.decode(z).shape == (1, 3, 256, 256)
    for side in (12, 0):
        with pytest.raises(BadInput) as caught:
            open_tiny(folder, "tiny", side)
        assert str(caught.value) == (
            f"a tiny autoencoder takes pictures whose side is a multiple of 8; it got {side}. "
            "Use 256."
        )


def test_a_folder_that_lacks_a_half_is_said(tmp_path):
    assert is_tiny(kept(tmp_path, random()))
    (tmp_path / "small_decoder.safetensors").rename(tmp_path / "other.safetensors")
    assert not is_tiny(tmp_path)
    with pytest.raises(Missing) as caught:
        open_tiny(tmp_path, "tiny")
    assert str(caught.value) == (
        f"{tmp_path.name} must hold one file *_encoder.safetensors and one "
        "*_decoder.safetensors. Copy both there, and no others of such names."
    )
    kept(tmp_path, random(), "twice")
    assert not is_tiny(tmp_path), "two encoders are one too many"


def test_weights_that_are_not_all_there_are_refused(tmp_path):
    encoder, decoder = halves(random())
    lost = {n: w for n, w in encoder.items() if n != "12.pool.1.bias"}
    with pytest.raises(Refused) as caught:
        tiny_autoencoder(lost, decoder, "small")
    assert str(caught.value) == (
        "small does not fit the layout of a tiny autoencoder: Error(s) in loading state_dict for "
        'Sequential: Missing key(s) in state_dict: "12.pool.1.bias".'
    )
    more = {**decoder, "20.weight": torch.zeros(3)}
    with pytest.raises(Refused, match=r'Unexpected key\(s\) in state_dict: "20.weight"'):
        tiny_autoencoder(encoder, more)
    odd = {**decoder, "7.weight": torch.zeros(6, 5, 3, 3)}
    with pytest.raises(Refused, match="size mismatch for 7.weight"):
        tiny_autoencoder(encoder, odd)
    three = {n: w[:7] if n.endswith("pool.0.weight") else w for n, w in encoder.items()}
    with pytest.raises(Refused, match=r"num_channels \(7\) must be divisible by num_groups"):
        tiny_autoencoder(three, decoder)
    for first, second in (({}, decoder), (encoder, {}), ({"0.weight": torch.zeros(2)}, decoder)):
        with pytest.raises(Refused) as caught:
            tiny_autoencoder(first, second)
        assert str(caught.value) == (
            "this folder holds no tiny autoencoder: 0.weight of its encoder or 1.weight of its "
            "decoder is missing or has the wrong axes. Give the files of taef2, or a folder of "
            "diffusers."
        )
    kept(tmp_path, random())
    (tmp_path / "small_encoder.safetensors").write_bytes(b"half a file")
    with pytest.raises(Refused, match="small_encoder.safetensors cannot be read as weights"):
        open_tiny(tmp_path, "tiny")


# ----------------------------------------------------------------------- channels are units


def kl():
    import diffusers

    made = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, sample_size=16)
    return diffusers_vae(made, ref="kl")


def tiny():
    import diffusers

    made = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1),
    )  # fmt: skip
    last: Any = made.decoder.layers[-1]
    last.weight.data *= 10
    last.bias.data.fill_(0.75)  # colours that are neither black nor white
    return diffusers_vae(made, ref="tiny", side=16)


def painter():
    """A grid of three latents: the second is the red of its place, at half the side."""

    def encode(_, x):
        small = torch.nn.functional.avg_pool2d(x, 4)
        return torch.stack([small[:, 1] - 0.5, small[:, 0] - 0.5, small[:, 2] - 0.5], 1)

    def decode(_, z):
        red_second = torch.stack([z[:, 1], z[:, 0], z[:, 2]], 1) + 0.5
        return red_second.repeat_interleave(4, 2).repeat_interleave(4, 3)

    plain = Preprocess((32, 32), mean=COLOURS.mean, std=COLOURS.std)
    return vae_of(torch.nn.Linear(1, 1), encode, decode, plain, ref="painter")


FEW = LatentSettings(frames=4, rows=4, fresh=2, pool=16, shown=3, seed=1)


def channels(model):
    return Units(model, Identity(model.width, "latents"))


def studied(model, x, only, how=FEW) -> list[Any]:
    """What is known of some channels; `Any`, since a silent one has no sheet."""
    found = study(channels(model), how, x=x, only=only)
    assert found.anchors == "pictures" and [u.index for u in found.units] == only
    return list(found.units)


@pytest.mark.parametrize("make", [kl, tiny])
def test_channels_of_diffusers_autoencoders_can_be_studied(make):
    model = make()
    x = torch.rand(16, 3, *model.preprocess.size)
    both, (again,) = studied(model, x, [0, 2]), studied(model, x, [2])
    moving = [unit for unit in both if unit.sheet is not None]
    assert moving, "some channel changes the picture"
    for unit in moving:
        assert unit.sheet.images.shape == (3, 4, 3, *model.preprocess.size)
    assert max(unit.effect for unit in both) > 0
    assert again.effect == pytest.approx(both[1].effect), "alone or beside others"


@pytest.mark.parametrize("move", [None, "set"])
def test_a_channel_moves_everywhere_around_what_is_there_or_through_its_quantiles(small, move):
    x = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (unit,) = studied(small, x, [1], replace(FEW, move=move))
    codes = small.acts(x)
    levels = np.linspace(0.025, 0.975, 4)
    own = codes[..., 1].double().numpy()
    wanted = np.quantile(own, levels) if move else own.std() * norm.ppf(levels)
    np.testing.assert_allclose(unit.sheet.values.numpy(), wanted, atol=2e-3)
    for row in range(3):
        for step, value in enumerate(unit.sheet.values.tolist()):
            moved = codes[row : row + 1].clone()
            moved[..., 1] = value if move else moved[..., 1] + value
            shown = small.visible(small.decode(moved))[0]
            torch.testing.assert_close(unit.sheet.images[row, step], shown)


def test_a_channel_that_is_a_colour_is_called_so():
    lot = torch.Generator().manual_seed(0)
    coarse = torch.rand(24, 3, 4, 4, generator=lot)
    x = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    how = LatentSettings(frames=5, rows=8, fresh=4, pool=24)
    (unit,) = studied(painter(), x, [1], how)
    red = unit.sheet.images[:, :, 0].mean((0, 2, 3))
    assert (red.diff() > 0).all(), "the first channel of colours is the unit's"
    assert torch.equal(unit.sheet.images[:, 0, 1:], unit.sheet.images[:, -1, 1:])
    assert unit.answer.attribute in ("hue", "warmth", "saturation", "brightness"), unit.answer


# ---------------------------------------------------------------------- the published weights


def photographs():
    """What ships, and scikit-image's where it is installed."""
    found = [("chelsea.jpg", Image.open(CHELSEA))]
    try:
        from skimage import data  # pyright: ignore[reportMissingImports]
    except ImportError:
        return found
    return found + [(n, Image.fromarray(getattr(data, n)())) for n in ("astronaut", "coffee", "rocket")]  # fmt: skip # noqa: E501


def decibel(a, b):
    return float(10 * torch.log10(1 / (a - b).square().mean()))


@pytest.mark.weights
@pytest.mark.skipif(not os.environ.get("LEGENDA_WEIGHTS"), reason="LEGENDA_WEIGHTS names no folder")
def test_taef2_paints_photographs_as_it_is_said_to():
    taef2 = open_tiny(Path(os.environ["LEGENDA_WEIGHTS"]) / "taef2", "taef2")
    assert (taef2.name, taef2.width, taef2.grid) == ("taef2", 32, (32, 32))
    for name, photograph in photographs():
        x = taef2.pixels([photograph])
        with torch.no_grad():
            z = taef2.acts(x)
            found = decibel(taef2.visible(taef2.decode(z)), x)
            lot = torch.Generator().manual_seed(0)
            order = torch.randperm(z.shape[1], generator=lot)
            control = decibel(taef2.visible(taef2.decode(z[:, order])), x)
        print(f"{name}: {found:.2f} dB, places exchanged {control:.2f} dB")  # noqa: T201
        assert 29 <= found <= 33.5, name
        assert control < 20, name
