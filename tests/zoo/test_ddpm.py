"""`zoo:ddpm`: its recipe can be resumed, it paints sprites, and the pullback moves them."""

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from scipy import ndimage

from legenda.core.interval import bootstrap
from legenda.errors import BadInput, Missing
from legenda.explain.pullback import Pullback, random_basis
from legenda.explain.walk import Sphere, sheets
from legenda.zoo.ddpm import recipe
from legenda.zoo.ddpm.recipe import Averaged, denoise, network, noisy, scheduler, train
from legenda.zoo.ddpm.shipped import FOLDER, open_ddpm
from legenda.zoo.sprites.world import COLOUR, drawn


def tiny():
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        attention_head_dim=8, down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ddpm():
    return open_ddpm(steps=20)


def test_what_is_to_be_said_gives_back_picture_and_noise():
    x, alphas = drawn(COLOUR, 20, 1, 8).pictures, scheduler().alphas_cumprod
    mixed, times, said = noisy(x, alphas, 6, 3)
    a = alphas[times, None, None, None]
    clean, noise = a.sqrt() * mixed - (1 - a).sqrt() * said, (1 - a).sqrt() * mixed + a.sqrt() * said  # fmt: skip # noqa: E501
    pixels = x.float() / 127.5 - 1
    assert all(float((pixels - one).abs().amax((1, 2, 3)).min()) < 1e-5 for one in clean)
    assert abs(float(noise.mean())) < 0.1 and abs(float(noise.std()) - 1) < 0.1
    again = noisy(x, alphas, 6, 3)
    assert torch.equal(mixed, again[0]) and not torch.equal(mixed, noisy(x, alphas, 6, 4)[0])


def test_times_of_a_batch_are_spread_evenly():
    x, alphas = drawn(COLOUR, 4, 1, 8).pictures, scheduler().alphas_cumprod
    seen = torch.stack([noisy(x, alphas, 10, seed)[1] for seed in range(40)])
    assert torch.equal(seen // 100, torch.arange(10).expand(40, -1))
    assert seen.min() >= 0 and seen.max() < 1000
    assert len(seen[:, 0].unique()) > 20


def test_the_running_mean_follows_the_weights():
    whole = Averaged(torch.nn.Linear(2, 1, bias=False))
    mean, weights = whole.get_buffer("mean").clone(), whole.network.weight
    for step in range(5):  # the literal twin
        weights.data += 1
        whole.follow(step)
        keep = min(0.999, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * weights.data.flatten()
    torch.testing.assert_close(whole.get_buffer("mean"), mean)
    assert torch.equal(whole.settle().weight.data.flatten(), whole.get_buffer("mean"))


class Killed(Exception):
    """Somebody pulled the plug."""


def test_a_killed_training_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "EVERY", 3)
    x, path = drawn(COLOUR, 40, 0, 8).pictures, tmp_path / "checkpoint.safetensors"
    whole, broken, again, losses = tiny(), tiny(), tiny(), []
    denoise(whole, x, 40, 8, 0, report=lambda _, figures: losses.append(figures["loss"]))

    def report(step, _):
        if step == 7:
            raise Killed

    with pytest.raises(Killed):
        denoise(broken, x, 40, 8, 0, path, report)
    denoise(again, x, 40, 8, 0, path)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert sum(losses[30:]) < sum(losses[:10]) and all(p.grad is None for p in again.parameters())


def test_the_network_is_small_and_looks_around_at_its_coarsest_grid():
    net = network()
    assert sum(p.numel() for p in net.parameters()) < 2_000_000
    looking = [name for name, m in net.named_modules() if type(m).__name__ == "Attention"]
    assert {name.split(".")[0] for name in looking} == {"down_blocks", "mid_block", "up_blocks"}
    assert not any(name.startswith(("down_blocks.0", "up_blocks.2")) for name in looking)


def test_what_cannot_be_trained_or_opened_is_refused(tmp_path):
    with pytest.raises(BadInput) as caught:
        train(tmp_path, pictures=3, batch=4)
    assert str(caught.value) == (
        "training needs at least one batch of pictures and a seed of 0 or more; it got pictures=3, "
        "batch=4, drawn_once=30000, seed=0."
    )
    with pytest.raises(Missing) as lost:
        open_ddpm(folder=tmp_path)
    assert str(lost.value) == (
        f"zoo:ddpm has no weights at {tmp_path.name}/unet/diffusion_pytorch_model.safetensors. "
        "Reinstall legenda, or train them with `legenda zoo train ddpm`."
    )
    with pytest.raises(BadInput) as caught:
        open_ddpm(9)
    assert str(caught.value) == (
        "zoo:ddpm is opened at one module of its U-Net, such as mid_block; it got 9. Give its "
        "dotted name."
    )


def test_what_ships_opens_at_its_middle(ddpm):
    assert (ddpm.name, ddpm.ref, ddpm.site, ddpm.grid, ddpm.width) == (
        "ddpm", "zoo:ddpm", "mid_block", (8, 8), 96,
    )  # fmt: skip
    other = open_ddpm({"image": "up_blocks.0", "text": "up_blocks.0"}, time=0.6)
    assert (other.site, other.now) == ("up_blocks.0", 599)
    size = sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file())
    assert size < 4_500_000


def nearest(pictures, known):
    """Root mean square distance of each picture to the nearest that is known."""
    flat, other = pictures.flatten(1), known.flatten(1)
    parts = [torch.cdist(flat, part).amin(1) for part in other.split(5000)]
    return torch.stack(parts).amin(0) / flat.shape[1] ** 0.5


def hues_within(pictures):
    """By how many turns hues differ within the one coloured thing; nan where it is not one."""
    spread, found = pictures.amax(1) - pictures.amin(1), []
    for picture, coloured in zip(pictures, (spread > 0.3).numpy(), strict=True):
        blobs, count = ndimage.label(coloured)
        sizes = ndimage.sum_labels(coloured, blobs, range(1, count + 1)) if count else [0]
        if max(sizes) < max(12, 0.95 * sum(sizes)):
            found.append(float("nan"))
            continue
        r, g, b = picture[:, torch.from_numpy(blobs == 1 + int(np.argmax(sizes)))]
        angle = torch.atan2(3**0.5 * (g - b), 2 * r - g - b)
        mean = torch.polar(torch.ones_like(angle), angle).mean().abs().clamp(1e-9, 1)
        found.append(float((-2 * mean.log()).clamp(min=0).sqrt()) / (2 * torch.pi))
    return torch.tensor(found, dtype=torch.float64)


def shown(model, count=64, seed=0):
    """Samples, real ones, and three controls."""
    held, lot = drawn(COLOUR, 2 * count, 7, 32).pixels(), torch.Generator().manual_seed(seed)
    order = torch.argsort(torch.rand(count, 1024, generator=lot), 1)[:, None].expand(-1, 3, -1)
    return {
        "samples": model.visible(model.sample(model.noise(count, seed))),
        "real": held[:count],
        "pixels in another order": held[:count].flatten(2).gather(2, order).unflatten(2, (32, 32)),
        "two blended": (held[:count] + held[count:]) / 2,
        "noise": torch.rand(count, 3, 32, 32, generator=lot),
    }


def moved(model, seeds=8, count=5, walk=None):
    """Sheets of the top directions of the pullback metric, and of random ones."""
    x, walk = model.noise(seeds, seed=11), walk or Sphere()
    top = Pullback(count)(model, x)
    return top, sheets(model, x, top, walk), sheets(model, x, random_basis(x, count, 5), walk, named="random")  # fmt: skip # noqa: E501


def straightness(sheet):
    """From end to end over the length of the way, by row: 1 is straight."""
    steps = sheet.images.diff(dim=1).flatten(2).norm(dim=2).sum(1)
    whole = (sheet.images[:, -1] - sheet.images[:, 0]).flatten(1).norm(dim=1)
    return whole / steps.clamp(min=1e-12)


@pytest.mark.slow
def test_samples_look_like_sprites(ddpm):
    sprites, groups = drawn(COLOUR, 10_000, 0, 32).pixels(), shown(ddpm, 32)
    far = {name: float(nearest(some, sprites).median()) for name, some in groups.items()}
    assert far["samples"] < far["two blended"] < far["noise"], far
    one = {name: int((hues_within(some) < 0.1).sum()) for name, some in groups.items()}
    assert one["real"] == 32 and one["samples"] > 2 * one["two blended"], one
    assert one["noise"] == one["pixels in another order"] == 0, one


@pytest.mark.slow
def test_pullback_directions_move_pictures_more_than_random_ones(ddpm):
    _, top, control = moved(ddpm, count=2, walk=Sphere(3))
    effects, others = (torch.stack([s.effect() for s in some]).mean(0) for some in (top, control))
    low, _ = bootstrap(effects - others)
    assert low > 0, (effects, others)
