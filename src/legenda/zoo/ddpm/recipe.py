"""How `zoo:ddpm` is trained: noise is mixed into pictures, and a U-Net learns to tell them apart.

With ᾱ falling from almost 1 to almost 0 over T = 1000 times, a picture x_0 at time t is

    x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε,      ε ~ N(0, 1)                       (1)
    v_t = √ᾱ_t ε - √(1 - ᾱ_t) x_0                                         (2)
    L = mean ‖v_t - v(x_t, t)‖²                                           (3)

The network says v rather than ε: at the last times ε is almost x_t itself, and what a picture
shows would hardly weigh. The times of a batch are spread evenly, from a start by lot. What ships
is a running mean of the weights.

References
----------
Ho, Jain, Abbeel. Denoising diffusion probabilistic models. NeurIPS 2020. (1), the linear schedule.
Salimans, Ho. Progressive distillation for fast sampling of diffusion models. ICLR 2022. (2).
Kingma, Salimans, Poole, Ho. Variational diffusion models. NeurIPS 2021. Times spread evenly.
"""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from legenda.errors import BadInput
from legenda.train.loop import Pupil, Report, Schedule
from legenda.types import Images
from legenda.zoo.sprites.world import COLOUR, drawn

SIDE, TIMES = 32, 1000
WIDTHS = (24, 48, 96)
EVERY = 250
"""Steps between checkpoints."""
MEAN = 0.999
"""How much of the running mean each step keeps, once it has seen a few thousand."""


class Averaged(nn.Module):
    """A network and the running mean of its weights, which a checkpoint keeps as a buffer."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.register_buffer("mean", nn.utils.parameters_to_vector(network.parameters()).detach())

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the mean towards the weights; its memory grows with the number of steps."""
        keep = min(MEAN, (1 + step) / (10 + step))
        now = nn.utils.parameters_to_vector(self.network.parameters())
        self.get_buffer("mean").lerp_(now, 1 - keep)

    @torch.no_grad()
    def settle(self) -> nn.Module:
        """The network, its weights now the mean."""
        nn.utils.vector_to_parameters(self.get_buffer("mean").clone(), self.network.parameters())
        return self.network


def network(widths: tuple[int, ...] = WIDTHS, side: int = SIDE) -> Any:
    """The U-Net, which looks around (attends) at its coarsest grid only."""
    from diffusers import UNet2DModel  # pyright: ignore

    plain, last = len(widths) - 1, "AttnDownBlock2D"
    return UNet2DModel(
        sample_size=side, layers_per_block=1, block_out_channels=widths, norm_num_groups=8,
        attention_head_dim=widths[-1] // 3,
        down_block_types=("DownBlock2D",) * plain + (last,),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
    )  # fmt: skip


def scheduler() -> Any:
    """The times of `zoo:ddpm`, as diffusers writes them down."""
    from diffusers import DDIMScheduler  # pyright: ignore

    return DDIMScheduler(
        num_train_timesteps=TIMES, beta_start=1e-4, beta_end=0.02, beta_schedule="linear",
        prediction_type="v_prediction", clip_sample=False, timestep_spacing="trailing",
    )  # fmt: skip


def train(
    out: Path,
    pictures: int = 91_520,
    batch: int = 32,
    seed: int = 0,
    drawn_once: int = 30_000,
    report: Report | None = None,
) -> None:
    """Train `zoo:ddpm` into a folder of diffusers' layout; resumable to the same bits.

    Parameters
    ----------
    pictures: how many it sees, noise and all; more is better, and slower.
    batch: pictures per step.
    seed: of the weights, the pictures and the noise.
    drawn_once: different pictures; fewer are known by heart sooner.
    """
    if min(batch, drawn_once) < 1 or pictures < batch or seed < 0:
        raise BadInput(
            f"training needs at least one batch of pictures and a seed of 0 or more; it got "
            f"pictures={pictures}, batch={batch}, drawn_once={drawn_once}, seed={seed}."
        )
    out.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = network()
    x = drawn(COLOUR, drawn_once, seed, SIDE).pictures
    denoise(unet, x, pictures // batch, batch, seed, out / "checkpoint.safetensors", report)
    unet.half().save_pretrained(out / "unet")
    scheduler().save_pretrained(out / "scheduler")


def denoise(
    unet: Any,
    x: Tensor,
    steps: int,
    batch: int,
    seed: int,
    checkpoint: Path | None = None,
    report: Report | None = None,
    half: bool = True,
) -> None:
    """Train a U-Net by equation (3), in place, to the running mean of its weights."""
    whole, plan = Averaged(unet.train()), Schedule(
        steps, lr=1e-3, warmup=min(200, steps), decay=0.3, weight_decay=0.01, half=half
    )  # fmt: skip
    pupil = Pupil(whole, plan, {"seed": str(seed), "batch": str(batch), "pictures": str(len(x))})
    if checkpoint:
        pupil.load(checkpoint)
    precision = torch.autocast("cpu", torch.bfloat16) if half else nullcontext()
    alphas = scheduler().alphas_cumprod
    for step in range(pupil.step, steps):
        with precision:
            value = loss(unet, *noisy(x, alphas, batch, seed * 1_000_003 + step))
        norm = pupil.descend(value)
        whole.follow(step)
        if report:
            report(step, {"loss": float(value.detach()), "norm": norm})
        if checkpoint and (pupil.step % EVERY == 0 or pupil.step == steps):
            pupil.save(checkpoint)
    pupil.rest()
    whole.settle()
    unet.eval()


def noisy(
    x: Tensor, alphas: Float[Tensor, " t"], batch: int, seed: int
) -> tuple[Images, Int[Tensor, " b"], Images]:
    """Equations (1) and (2): pictures at some times, and what is to be said of them."""
    lot = torch.Generator().manual_seed(seed)
    clean = x[torch.randint(len(x), (batch,), generator=lot)].float() / 127.5 - 1
    start = torch.rand((), generator=lot)
    times = ((torch.arange(batch) + start) / batch * len(alphas)).long()
    noise = torch.randn(clean.shape, generator=lot)
    signal, other = (a.sqrt()[times, None, None, None] for a in (alphas, 1 - alphas))
    return signal * clean + other * noise, times, signal * noise - other * clean


def loss(unet: Callable[..., Any], x: Images, times: Int[Tensor, " b"], said: Images) -> Tensor:
    """Equation (3)."""
    return (unet(x, times).sample.float() - said).square().mean()
