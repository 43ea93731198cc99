"""Latent models: opened from every layout, and refused where they do not decode."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from legenda.core.latent import Latent, Posterior, activity
from legenda.errors import BadInput, Missing, Refused, Unsupported
from legenda.models.burgess import Burgess
from legenda.models.opening import open_model
from legenda.models.vae import from_module
from legenda.models.vae_hub import disentangled, layout_of


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return from_module(Burgess(32, 1, 6), ref="small")


def test_a_network_is_a_latent_model(small):
    assert isinstance(small, Latent)
    assert (small.width, small.grid, small.channels) == (6, (1, 1), 1)


def test_an_edit_of_the_acts_is_an_edit_of_latents(small):
    x = torch.rand(3, 1, 32, 32)
    z = small.acts(x)
    run = small.run(x, lambda a: a + torch.tensor([2.0, 0, 0, 0, 0, 0]))
    assert torch.equal(run.output, small.root.decode(z[:, 0] + torch.tensor([2.0, 0, 0, 0, 0, 0])))
    assert torch.equal(small.run(x).output, small.root.decode(z[:, 0]))


def test_the_nats_are_those_of_torch(small):
    found = small.posterior(torch.rand(4, 1, 32, 32))
    assert found.log_variance is not None
    here = torch.distributions.Normal(found.mean, (0.5 * found.log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(found.nats(), torch.distributions.kl_divergence(here, prior))
    assert activity(found.nats()).shape == (6,)


def test_a_point_is_never_drawn_elsewhere():
    point = Posterior(torch.ones(2, 1, 3))
    assert torch.equal(point.sample(1), point.mean)
    assert torch.equal(point.nats(), torch.full((2, 1, 3), 0.5))


@pytest.mark.parametrize(
    "side,channels,latents,more", [(32, 1, 10, 0), (64, 3, 4, 0), (64, 1, 5, 2)]
)
def test_the_published_layout_goes_there_and_back(tmp_path, side, channels, latents, more):
    network = Burgess(side, channels, latents, more)
    save_file(layout_of(network), tmp_path / "one.safetensors")
    opened = open_model(str(tmp_path / "one.safetensors"))
    assert (opened.name, opened.width, opened.preprocess.size) == ("one", latents, (side, side))
    for name, value in network.state_dict().items():
        assert torch.equal(value, opened.root.state_dict()[name])


def test_a_folder_that_was_trained_here_opens(tmp_path):
    save_file(layout_of(Burgess(32, 3, 4)), tmp_path / "vae.safetensors")
    assert open_model(str(tmp_path)).width == 4


@pytest.mark.parametrize("kind", ["AutoencoderKL", "AutoencoderTiny"])
def test_autoencoders_of_diffusers_open_at_their_grid(tmp_path, kind):
    import diffusers

    settings = {
        "AutoencoderKL": {"block_out_channels": (32,), "sample_size": 16},
        "AutoencoderTiny": {
            "encoder_block_out_channels": (16, 16), "decoder_block_out_channels": (16, 16),
            "num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1),
        },
    }[kind]  # fmt: skip
    getattr(diffusers, kind)(**settings).save_pretrained(tmp_path)
    opened = open_model(str(tmp_path))
    assert opened.width == 4 and opened.grid == {"AutoencoderKL": (16, 16), "AutoencoderTiny": (128, 128)}[kind]  # fmt: skip # noqa: E501
    z = opened.acts(torch.rand(1, 3, *opened.preprocess.size))
    assert opened.decode(z).shape == (1, 3, *opened.preprocess.size)


@pytest.mark.parametrize("kind", ["AutoencoderKL", "AutoencoderTiny"])
def test_autoencoders_of_diffusers_see_colours_from_minus_one_to_one(tmp_path, kind):
    import diffusers
    from PIL import Image

    if kind == "AutoencoderKL":
        made = diffusers.AutoencoderKL(block_out_channels=(32,), sample_size=16)
    else:
        made = diffusers.AutoencoderTiny(
            encoder_block_out_channels=(16, 16), decoder_block_out_channels=(16, 16),
            num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1),
        )  # fmt: skip
    made.save_pretrained(tmp_path)
    opened = open_model(str(tmp_path))
    x = opened.pixels([Image.new("RGB", (300, 300), (0, 128, 255))])
    low, middle, high = x.mean((0, 2, 3)).tolist()
    assert (low, high) == (-1, 1) and abs(middle) < 0.01
    assert torch.allclose(opened.visible(x)[0, :, 0, 0], torch.tensor([0, 128 / 255, 1]))


def blind():
    return nn.Linear(2, 2)


def sideless():
    made = nn.Linear(2, 2)
    made.encode = made.decode = made.forward
    return made


def three():
    made = Burgess(32, 3, 4)
    made.decode = lambda z: torch.zeros(len(z), 3, 8, 8)
    return made


def test_what_decodes_is_opened_by_its_factory():
    assert open_model("tests.models.test_vae:whole").width == 4


def whole():
    return Burgess(32, 3, 4)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(Unsupported) as caught:
        from_module(blind(), ref="blind")
    assert str(caught.value) == (
        "Reading latents needs a model with `encode` and `decode`; blind has none. For encoders "
        "use `legenda survey`, whose units need no decoder."
    )
    with pytest.raises(BadInput) as caught:
        open_model("tests.models.test_vae:sideless")
    assert str(caught.value) == (
        "sideless does not say how large its pictures are. Give it an attribute `side`, or a "
        "`preprocess`."
    )
    with pytest.raises(Refused) as caught:
        open_model("tests.models.test_vae:three")
    assert str(caught.value) == (
        "three decodes its own latents as (3, 8, 8), not as (3, 32, 32). Check its weights and "
        "its size."
    )
    with pytest.raises(Refused, match="does not fit the layout of disentangling-vae"):
        disentangled({**layout_of(Burgess(32, 1, 4)), "encoder.lin2.bias": torch.zeros(3)}, "odd")
    with pytest.raises(Missing):
        open_model(str(tmp_path / "nothing.safetensors"))


def test_latents_of_another_width_are_refused(small):
    with pytest.raises(BadInput) as caught:
        small.decode(torch.zeros(1, 1, 5))
    assert str(caught.value) == (
        "small decodes 1 × 6 latents per picture; it got 1 × 5. Give one value for each."
    )
