"""Diffusion models, opened at a site of their U-Net and at a time.

A U-Net is told a noisy picture x_t and its time t, and says which noise ε(x_t, t) is in it. The
deterministic sampler goes from x_t down to a picture, so that x_t is a latent variable of it:

    x_s = √ᾱ_s x_0 + √(1 - ᾱ_s) ε,      x_0 = (x_t - √(1 - ᾱ_t) ε̃) / √ᾱ_t     (1)

Here ε̃ is what the U-Net says when the acts at the site are edited; otherwise it is ε. Where both
are ε̃ (`asymmetric=False`), most of an edit cancels. A picture is inverted by solving (1) for x_t,
from the picture up:

    x_t ← √(ᾱ_t / ᾱ_s) (x_s - √(1 - ᾱ_s) ε(x_t, t)) + √(1 - ᾱ_t) ε(x_t, t)     (2)

where x_t, which stands on both sides, is found by going round a few times from x_s.

Differs from the usual inversion, which goes round once: `rounds=1` is that. Guidance without a
classifier is not done: a prompt conditions, and is not exaggerated.

References
----------
Song, Meng, Ermon. Denoising diffusion implicit models. ICLR 2021. (1) without edits, inversion.
Kwon, Jeong, Uh. Diffusion models already have a semantic latent space. ICLR 2023. (1) with edits
of the middle block.
Pan, Gherardi, Xie, Huang. Effective real image editing with accelerated iterative diffusion
inversion. ICCV 2023. Going round (2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from legenda.core.hooks import output_of
from legenda.core.latent import Posterior
from legenda.core.model import Edit, Run
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, ShapeError, Unsupported
from legenda.models.layout import Layout
from legenda.models.module import lazily, module_at
from legenda.models.noising import Noising
from legenda.types import Acts, Images

SITE = "mid_block"
LAYOUT = Layout()
Prompt = Float[Tensor, "1 n e"]


@dataclass(frozen=True)
class Diffusion:
    """A denoising U-Net, opened at a site and a time, `b c h w -> b n d`.

    What it reads are noisy pictures x_t, such as `noise` draws and `invert` finds; its output is
    the noise it sees in them. `decode` samples on from `start`, the site set to what it is given.

    Parameters
    ----------
    root: the U-Net, of diffusers or alike: called with x_t and t.
    noising: its times.
    site: dotted name of the submodule to open.
    time: when, as a share of all times; 1 is pure noise, lower leaves more decided.
    steps: of the sampler from 1 to 0; more follow the model more closely, at as much more cost.
    prompt: what a conditional U-Net is told, already embedded.
    paint: an autoencoder of diffusers, where the U-Net works on its latents.
    start: x_t that `decode` goes on from: one for each picture, or one for all. None: by lot.
    name, ref, about: short name; what opens it again; what `legenda models` says of it.
    """

    root: nn.Module = field(repr=False)
    noising: Noising
    site: str = SITE
    time: float = 1.0
    steps: int = 50
    prompt: Prompt | None = field(default=None, repr=False)
    paint: Any = field(default=None, repr=False)
    start: Images | None = field(default=None, repr=False)
    name: str = "diffusion"
    ref: str = ""
    about: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse times and steps that are none."""
        if not 1 <= self.steps <= len(self.noising.alphas) or not 1 / self.steps <= self.time <= 1:
            raise BadInput(
                f"a diffusion model is opened at a share of its {len(self.noising.alphas)} times, "
                f"at least one of its steps and at most 1; it got time={self.time}, "
                f"steps={self.steps}. Choose others."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of x_t."""
        config: Any = self.root.config
        size = config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return int(config.in_channels), int(height), int(width)

    @property
    def now(self) -> int:
        """The time it is opened at, by number."""
        return self.noising.times(self.time, self.steps)[0]

    @cached_property
    def held(self) -> tuple[int, ...]:
        """What the site returns for one picture: (d y x), (n d) or (d)."""
        x = torch.zeros(1, *self.shape, device=self.device)
        with torch.no_grad():
            found = output_of(module_at(self.root, self.site), lambda: self._said(x, self.now))
        return tuple(LAYOUT.tensor(found).shape[1:])

    @property
    def width(self) -> int:
        """Channels of the site."""
        return self.held[0] if len(self.held) != 2 else self.held[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the site's positions."""
        if len(self.held) == 3:
            return self.held[1], self.held[2]
        _, h, w = self.shape
        rows = round(sqrt(self.held[0] * h / w)) if len(self.held) == 2 else 1
        return rows, self.held[0] // rows if len(self.held) == 2 else 1

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.root.parameters()).device

    def acts(self, x: Images) -> Acts:
        site = module_at(self.root, self.site)
        return LAYOUT.read(output_of(site, lambda: self._said(x, self.now)))

    def posterior(self, x: Images) -> Posterior:
        """Its acts: a point, without variance."""
        return Posterior(self.acts(x))

    def run(self, x: Images, edit: Edit | None = None) -> Run:
        return self._run(x, self.now, edit)

    def _run(self, x: Images, time: int, edit: Edit | None = None) -> Run:
        def noise(out: Any) -> Images:
            return self.noising.epsilon(LAYOUT.tensor(out), x, time)

        site = module_at(self.root, self.site)
        return lazily(site, LAYOUT, lambda: self._said(x, time), noise, edit)

    def _said(self, x: Images, time: int) -> Any:
        told = {}
        if self.prompt is not None:
            told["encoder_hidden_states"] = self.prompt.to(x).expand(len(x), -1, -1)
        return self.root(x, torch.tensor(time, device=x.device), **told)

    def decode(self, acts: Acts) -> Images:
        """The pictures that are reached from `start` where the site holds `acts` at `time`."""
        x = self.noise(1) if self.start is None else self.start.to(self.device)
        if len(x) not in (1, len(acts)) or acts.shape[1:] != (self.grid[0] * self.grid[1], self.width):  # fmt: skip # noqa: E501
            raise ShapeError(
                f"{self.name} decodes {self.grid[0] * self.grid[1]} × {self.width} acts for each "
                f"x_t it starts from; it got {len(acts)} × {acts.shape[1]} × {acts.shape[2]} for "
                f"{len(x)}. Give one set of acts for each, or a single start."
            )
        return self.sample(x.expand(len(acts), -1, -1, -1), lambda _: acts)

    def sample(
        self, x: Images, edit: Edit | None = None, until: float = 1.0, asymmetric: bool = True
    ) -> Images:
        """The pictures that x_t, at `time`, leads to, b c h w -> b c h w.

        The edit is made at the first step, and as long as the time is at least the share `until`.
        """
        return self._descend(x, self.noising.times(self.time, self.steps), edit, until, asymmetric)

    @torch.no_grad()
    def _descend(
        self, x: Images, times: list[int], edit: Edit | None = None, until: float = 1.0,
        asymmetric: bool = True,
    ) -> Images:  # fmt: skip
        last = min(times[0], until * len(self.noising.alphas) - 1)
        for start, end in pairwise(times):
            edited = edit if start >= last else None
            first = second = self._run(x, start, edited).output
            if edited is not None and asymmetric:
                second = self._run(x, start).output
            x = self.noising.step(x, start, end, first, second)  # (1)
        return x

    def noise(self, count: int, seed: int = 0) -> Images:
        """x_t by lot: noise, sampled down to `time`."""
        lot = torch.Generator().manual_seed(seed)
        x = torch.randn(count, *self.shape, generator=lot).to(self.device)
        above = [t for t in self.noising.times(1.0, self.steps) if t > self.now]
        return self._descend(x, [*above, self.now])

    @torch.no_grad()
    def invert(self, x: Images, rounds: int = 3) -> Images:
        """The x_t, at `time`, that samples to pictures; more rounds come closer."""
        for start, end in pairwise(self.noising.times(self.time, self.steps)[::-1]):
            found = x
            for _ in range(rounds):
                found = self.noising.back(x, start, end, self._run(found, end).output)  # (2)
            x = found
        return x

    def pixels(self, pictures: Sequence[Image.Image]) -> Images:
        """Pictures, clean, as `invert` takes them."""
        _, h, w = self.shape
        finer = 1 if self.paint is None else 2 ** (len(self.paint.config.block_out_channels) - 1)
        size = Preprocess((h * finer, w * finer))
        x = torch.stack([size.apply(p) for p in pictures]).to(self.device)
        if self.paint is None:
            return x.mean(1, keepdim=True) if self.shape[0] == 1 else x
        with torch.no_grad():
            return self.paint.encode(x).latent_dist.mean * self.paint.config.scaling_factor

    @torch.no_grad()
    def visible(self, x: Images) -> Float[Tensor, "b 3 rows columns"]:
        """What is sampled, as colours from 0 to 1, three channels."""
        if self.paint is not None:
            x = self.paint.decode(x / self.paint.config.scaling_factor).sample
        if x.shape[1] not in (1, 3):
            raise Unsupported(
                f"Looking at {x.shape[1]} channels", "an autoencoder that paints them", self.name,
                "Open a folder with `vae/`, or a pipeline that holds one.",
            )  # fmt: skip
        return (x.detach().expand(-1, 3, -1, -1) / 2 + 0.5).clamp(0, 1)
