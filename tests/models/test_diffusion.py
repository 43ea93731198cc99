"""Diffusion models: sampled as diffusers samples, inverted, edited at a site, refused in words."""

import json
from itertools import pairwise

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel, UNet2DModel
from PIL import Image
from torch import nn

from legenda.core.latent import Latent
from legenda.core.model import Decodes
from legenda.errors import BadInput, Missing, Refused, Unsupported
from legenda.models.diffusion import Diffusion
from legenda.models.diffusion_hub import diffusion_of, from_pipeline, open_diffusion
from legenda.models.noising import Noising, noising_of

LINEAR = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}


def unet(**more):
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        attention_head_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), **more,
    )  # fmt: skip


def opened(says="epsilon", clip=False, steps=10, **more):
    noising = noising_of({**LINEAR, "prediction_type": says, "clip_sample": clip}, "tiny")
    return diffusion_of(unet(), noising, ref="tiny", steps=steps, **more)


@pytest.fixture(scope="module")
def tiny():
    return opened()


class Gaussian(nn.Module):
    """The best denoiser of pictures drawn from N(0, spread²), which is known."""

    spread = 0.5

    def __init__(self, alphas):
        super().__init__()
        self.alphas, self.site = alphas, nn.Identity()
        self.nothing = nn.Parameter(torch.zeros(()))
        self.config = type("Config", (), {"sample_size": 4, "in_channels": 3})

    def forward(self, x, t):
        a = self.alphas[t]
        return self.site((1 - a).sqrt() * x / (a * self.spread**2 + 1 - a))


def gaussian(steps):
    noising = noising_of({**LINEAR, "clip_sample": False}, "gaussian")
    return Diffusion(Gaussian(noising.alphas.double()), noising, "site", steps=steps)


def test_it_is_a_latent_model_and_decodes(tiny):
    assert isinstance(tiny, Latent) and isinstance(tiny, Decodes)
    assert (tiny.width, tiny.grid, tiny.shape, tiny.now) == (16, (4, 4), (3, 8, 8), 999)


def test_it_keeps_the_contract_of_models(tiny):
    x = tiny.noise(3, seed=1)
    run, again = tiny.run(x), tiny.run(x)
    assert run.acts.shape == (3, 16, 16) and torch.equal(run.output, again.output)
    assert torch.equal(tiny.acts(x), run.acts)
    assert torch.equal(tiny.run(x, lambda a: a).output, run.output)
    assert not torch.equal(tiny.run(x, torch.zeros_like).output, run.output)

    def fails(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        assert tiny.run(x, fails).output is None
    assert not any(m._forward_hooks for m in tiny.root.modules())
    assert all(p.grad is None and not p.requires_grad for p in tiny.root.parameters())


@pytest.mark.parametrize("says", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("clip", [False, True])
def test_it_samples_as_diffusers_does(says, clip):
    model = opened(says, clip)
    theirs = DDIMScheduler(**LINEAR, prediction_type=says, clip_sample=clip, timestep_spacing="trailing")  # fmt: skip # noqa: E501
    theirs.set_timesteps(10)
    x = start = model.noise(2, seed=3)
    with torch.no_grad():
        for t in theirs.timesteps:
            x = theirs.step(model.root(x, t).sample, t, x, eta=0.0).prev_sample
    torch.testing.assert_close(model.sample(start), x, rtol=1e-4, atol=1e-4)
    assert model.noising.times(1.0, 10)[:-1] == theirs.timesteps.tolist()


def test_times_begin_where_it_is_opened():
    noising = noising_of(LINEAR, "tiny")
    assert noising.times(1.0, 5) == [999, 799, 599, 399, 199, -1]
    assert noising.times(0.6, 5) == [599, 399, 199, -1]
    assert noising.times(0.5, 5)[0] == 499 and noising.times(0.5, 5)[-1] == -1


def test_pictures_of_a_gaussian_are_reached_in_closed_form():
    model = gaussian(200)
    x = model.noise(3).double()
    a = model.root.alphas[-1]
    true = x * 0.5 / (a * 0.25 + 1 - a).sqrt()  # the flow keeps how many deviations off it is
    found, coarse = model.sample(x), gaussian(10).sample(x)
    torch.testing.assert_close(found, true, rtol=0.05, atol=1e-3)
    assert (coarse - true).abs().max() > 3 * (found - true).abs().max()


def test_a_picture_is_inverted_and_found_again():
    model = gaussian(20)
    x = 0.5 * torch.randn(4, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))  # fmt: skip # noqa: E501
    off = [(model.sample(model.invert(x, n)) - x).abs().max() for n in (1, 3, 30)]
    assert off[0] > 3 * off[1] and off[2] < 1e-9


def test_a_step_back_up_undoes_a_step_down():
    noising = Noising(torch.tensor([0.9, 0.6, 0.2]))
    x, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    down = noising.step(x, 2, 1, noise, noise)
    torch.testing.assert_close(noising.back(down, 1, 2, noise), x)
    bound = Noising(torch.tensor([0.9, 0.6, 0.2]), bound=0.1)
    assert bound.step(x, 2, -1, noise, noise).abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("asymmetric", [False, True])
def test_edits_are_made_at_their_times_alone(tiny, asymmetric):
    x, a = tiny.noise(2), tiny.noising.alphas

    def edit(acts):
        return acts + 1

    until, expected = 0.7, x
    with torch.no_grad():
        for t, s in pairwise(tiny.noising.times(1.0, 10)):  # the literal twin
            plain = tiny._run(expected, t).output
            told = tiny._run(expected, t, edit).output if t >= 699 else plain
            left = a[s] if s >= 0 else torch.tensor(1.0)
            clean = (expected - (1 - a[t]).sqrt() * told) / a[t].sqrt()
            expected = left.sqrt() * clean + (1 - left).sqrt() * (plain if asymmetric else told)
    found = tiny.sample(x, edit, until, asymmetric)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, tiny.sample(x, edit, asymmetric=asymmetric))
    assert torch.allclose(tiny.sample(x, lambda acts: acts, until, asymmetric), tiny.sample(x))


def test_decoding_goes_on_from_the_start(tiny):
    from dataclasses import replace

    x = tiny.noise(2, seed=5)
    here = replace(tiny, start=x)
    with torch.no_grad():
        acts = tiny.acts(x)
    torch.testing.assert_close(here.decode(acts), tiny.sample(x))
    assert not torch.allclose(here.decode(acts + 1), tiny.sample(x))
    many = tiny.decode(acts[:1].expand(3, -1, -1))
    torch.testing.assert_close(many[0], many[2])
    with pytest.raises(BadInput) as caught:
        here.decode(acts[:, :5].repeat(2, 1, 1))
    assert str(caught.value) == (
        "tiny decodes 16 × 16 acts for each x_t it starts from; it got 4 × 5 × 16 for 2. Give one "
        "set of acts for each, or a single start."
    )


def test_batching_changes_nothing(tiny):
    x = tiny.noise(4, seed=2)
    alone = torch.cat([tiny.sample(one) for one in x.split(1)])
    torch.testing.assert_close(tiny.sample(x), alone, rtol=1e-4, atol=1e-4)
    assert torch.equal(x, tiny.noise(4, seed=2)) and not torch.equal(x, tiny.noise(4, seed=3))


def test_noise_is_brought_down_to_the_time_it_is_read_at():
    later, whole = opened(time=0.6), opened()
    assert later.now == 599
    x = whole.noise(2, seed=4)
    torch.testing.assert_close(later.sample(later.noise(2, seed=4)), whole.sample(x))
    assert not torch.equal(later.acts(x), whole.acts(x)), "the U-Net is told the time"


def test_it_opens_at_other_sites():
    up = opened(site="up_blocks.0")
    assert (up.width, up.grid) == (16, (8, 8))
    inside = opened(site="mid_block.attentions.0.to_q")
    assert (inside.width, inside.grid) == (16, (4, 4))
    assert opened(site="time_embedding").grid == (1, 1)


def test_pictures_go_in_and_come_out(tiny):
    picture = Image.new("RGB", (16, 16), (255, 0, 0))
    x = tiny.pixels([picture])
    torch.testing.assert_close(tiny.visible(x)[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_a_folder_of_diffusers_opens(tmp_path):
    unet().half().save_pretrained(tmp_path / "unet")
    DDPMScheduler(**LINEAR, clip_sample=False).save_pretrained(tmp_path / "scheduler")
    model = open_diffusion(tmp_path, "folder", time=0.6, steps=5)
    assert (model.ref, model.now, model.noising.says, model.noising.bound) == (
        "folder", 599, "epsilon", float("inf"),
    )  # fmt: skip
    assert next(model.root.parameters()).dtype == torch.float32
    assert model.sample(model.noise(1)).isfinite().all()


class Pipeline:
    """What `from_pipeline` reads of one."""

    def __init__(self):
        torch.manual_seed(0)
        self.unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
            cross_attention_dim=6, attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        self.vae = AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip # noqa: E501
        self.scheduler = DDPMScheduler(**LINEAR, clip_sample=False)


def test_a_prompt_conditions_and_an_autoencoder_paints():
    pipeline, lot = Pipeline(), torch.Generator().manual_seed(0)
    told, other = torch.randn(2, 1, 5, 6, generator=lot)
    model = from_pipeline(pipeline, ref="pipe", prompt=told, steps=4)
    x = model.noise(2)
    assert x.shape == (2, 4, 8, 8) and model.visible(model.sample(x)).shape == (2, 3, 16, 16)
    assert not torch.equal(
        model.run(x).output, from_pipeline(pipeline, ref="pipe", prompt=other).run(x).output
    )
    assert model.pixels([Image.new("RGB", (20, 20))]).shape == (1, 4, 8, 8)
    with pytest.raises(BadInput) as caught:
        from_pipeline(pipeline, ref="pipe")
    assert str(caught.value) == (
        "pipe needs a prompt embedding of shape (1, n, e): its U-Net is told one. Give `prompt`; "
        "on the command line, name a factory that does."
    )
    pipeline.vae = None
    with pytest.raises(Unsupported) as missing:
        from_pipeline(pipeline, ref="pipe", prompt=told, steps=4).visible(x)
    assert str(missing.value) == (
        "Looking at 4 channels needs an autoencoder that paints them; pipe has none. Open a folder "
        "with `vae/`, or a pipeline that holds one."
    )


def test_what_is_no_diffusion_model_is_refused(tmp_path):
    with pytest.raises(BadInput) as caught:
        opened(prompt=torch.zeros(1, 2, 3))
    assert str(caught.value) == (
        "tiny takes no prompt: its U-Net is told none. Leave `prompt` out."
    )
    with pytest.raises(BadInput) as caught:
        opened(time=0.01)
    assert str(caught.value) == (
        "a diffusion model is opened at a share of its 1000 times, at least one of its steps and "
        "at most 1; it got time=0.01, steps=10. Choose others."
    )
    with pytest.raises(Missing) as lost:
        open_diffusion(tmp_path, "empty")
    assert str(lost.value) == (
        "empty is no diffusion model of diffusers: scheduler/scheduler_config.json cannot be read. "
        "It is not there."
    )
    DDPMScheduler(**LINEAR).save_pretrained(tmp_path / "scheduler")
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"_class_name": "Other"}))
    with pytest.raises(Unsupported) as other:
        open_diffusion(tmp_path, "odd")
    assert str(other.value) == (
        "Opening a diffusion model needs UNet2DModel or UNet2DConditionModel in unet/; odd (Other) "
        "has none. Give the folder of another model."
    )
    with pytest.raises(Unsupported) as nothing:
        from_pipeline(object(), ref="flux")
    assert str(nothing.value) == (
        "Opening a diffusion model needs a pipeline with `unet` and `scheduler`; flux has none. "
        "Pipelines built on transformers are not read yet."
    )


def test_times_that_cannot_be_followed_are_refused():
    with pytest.raises(Refused) as caught:
        noising_of({**LINEAR, "thresholding": True}, "odd")
    assert str(caught.value) == (
        "odd has a scheduler that cuts pictures by thresholds, or a network that says 'epsilon'; "
        "legenda knows epsilon, v_prediction, sample, without thresholds. Open another model."
    )
    with pytest.raises(Refused) as caught:
        noising_of({**LINEAR, "rescale_betas_zero_snr": True}, "odd")
    assert str(caught.value) == (
        "odd leaves nothing of a picture at its last time, where no step can start. Set "
        "`rescale_betas_zero_snr` to false in its scheduler."
    )
