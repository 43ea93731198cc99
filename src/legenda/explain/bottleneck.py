"""Information bottleneck attribution, for image patches and for words.

Noise is poured over the activations until only what the target needs still flows; where
information survives is where the target looked. For activations a whose channels have mean
μ and spread σ over reference inputs, and a mask λ = sigmoid(α) in (0, 1) per token or per
entry,

    z = λ a + (1 - λ) ε,        ε ~ N(μ, σ²)                              (1)
    I = KL[ N(λ r, (1-λ)²) ‖ N(0, 1) ],   r = (a - μ) / σ                 (2)
      = ½ (λ² r² + (1-λ)² - 1) - log(1-λ)                                 (3)
    α* = argmin  Σ_pairs  β mean(I) - E[target(z)]                        (4)

The attribution of a position is I summed over its channels, in nats. The mean in (4) runs
over the entries that the channel covers. Over patches, λ is blurred by a Gaussian before it
acts, so that neighbours share a mask and no single patch is left to stand for an object
(Schulz et al.); words are never blurred. The descent is short, as published: the map is that
after `steps` steps, not a minimum of (4), so nats compare between maps of equal settings.

Differs from the official code: statistics come from a survey (theirs: μ=0, σ=1 on raw
states); special tokens are blocked, since at a late block they already hold the answer
(theirs go through the channel, then are dropped from the map); λ is one number per token
(theirs: per entry) and blurred (theirs: not); draws are antithetic, few, and none while the
mask is almost open, where at first only the price is followed; the map is read after the
last step, not before. `legenda.presets.M2IB` reproduces the published procedure.

References
----------
Schulz, Sixt, Tombari, Landgraf. Restricting the flow: information bottlenecks for
attribution. ICLR 2020. The channel and its blur, for image classifiers.
Wang, Rudner, Wilson. Visual explanations of image-text representations via
multi-modal information bottleneck attribution. NeurIPS 2023. (4) with a `Similarity`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from legenda.core.evidence import Attribution
from legenda.core.gaussian import gaussian
from legenda.core.model import Prefix, Run
from legenda.core.target import Target
from legenda.core.units import Units
from legenda.corpus.survey import Moments
from legenda.errors import BadInput, Unsupported
from legenda.types import Acts, Mask


@dataclass(frozen=True)
class InformationBottleneck:
    """Attribution by information bottleneck, `b c h w -> b n` or `b n -> b n`, in nats.

    Parameters
    ----------
    beta: price of one nat per entry, in units of the target; higher is sparser.
    steps: gradient steps on the mask; more of them settle it further.
    lr: Adam learning rate on α.
    draws: noise samples per step; more give a steadier map, at as much more cost.
    quiet: noise, as a share 1-λ of a spread, up to which a step uses its mean in place of
        draws; 0 always draws. A step moves α by about `lr`, so that step k pours at most
        sigmoid(lr k - start): from 5 at rate 1, the first five steps are quiet.
    coast: the same share, up to which a step follows the price alone and spares the model:
        so open a mask moves the target by next to nothing; 0 always asks. At the defaults the
        first four steps coast, and the fifth is quiet; half of the steps always ask.
    antithetic: draw noise in pairs ±ε, which needs fewer draws.
    per: one λ per "token", or per "entry" (as published).
    special: what happens to special tokens: "block" puts their survey mean in their place,
        "channel" treats them like any other (as published), "keep" leaves them as they are.
    smooth: width of the Gaussian that blurs λ over patches, in patches; 0 blurs nothing.
    start: α at the beginning; higher starts more open.
    adaptive: price each pair by how well it matches, in the manner of AdaIB: β is divided
        by the clean target (at least 0.05), so that a pair that hardly matches pays more.
    tolerance: a pair whose loss changes by less than this from one step to the next is left
        as it is from then on, and no step is taken once all are; 0 never stops early.
    stale: read the map before the last step instead of after it (as published).
    moments: μ and σ from a survey; "raw" is μ=0, σ=1 (as published); None takes them from the
        inputs themselves, which ties a pair to its batch and is meant for quick looks only.
    seed: of the noise. Each pair sees the same noise, alone or in a batch.
    batch: noisy copies (pairs times draws) at once, one pair at least; changes speed and
        memory, and the result by rounding at most.
    """

    beta: float = 1.0
    steps: int = 10
    lr: float = 1.0
    draws: int = 4
    quiet: float = 0.27
    coast: float = 0.12
    antithetic: bool = True
    per: Literal["token", "entry"] = "token"
    special: Literal["block", "channel", "keep"] = "block"
    smooth: float = 0.8
    start: float = 5.0
    adaptive: bool = False
    tolerance: float = 0.0
    stale: bool = False
    moments: Moments | Literal["raw"] | None = None
    seed: int = 0
    batch: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf"):
            raise BadInput(
                f"InformationBottleneck needs a finite price beta above 0; it got {self.beta}. "
                "Without a price nothing is left out. Try 1."
            )
        if min(self.steps, self.draws, self.batch) < 1 or not (
            0 <= self.quiet < 1 and 0 <= self.coast < 1
        ):
            raise BadInput(
                "InformationBottleneck needs at least one step, one draw and one copy at once, "
                f"and quiet and coast from 0 to below 1; it got steps={self.steps}, "
                f"draws={self.draws}, batch={self.batch}, quiet={self.quiet}, coast={self.coast}."
            )
        if not 0 < self.lr < float("inf") or not abs(self.start) < float("inf"):
            raise BadInput(
                f"InformationBottleneck needs a rate lr above 0 and a finite start; it got "
                f"lr={self.lr}, start={self.start}. Try lr=1.0, start=5.0."
            )
        if not 0 <= self.smooth < float("inf"):
            raise BadInput(
                f"InformationBottleneck needs a blur smooth of 0 or more patches; it got "
                f"{self.smooth}. Try 1, or 0 for none."
            )

    def __call__(self, units: Units, x: Tensor, target: Target) -> Attribution:
        return self.many(units, x, [target])[0]

    def many(self, units: Units, x: Tensor, targets: Sequence[Target]) -> list[Attribution]:
        """Several targets on the same inputs, which share everything before the site."""
        for target in targets:
            if target.reads != "output":
                raise Unsupported(
                    "InformationBottleneck", "a target on the output", target.label,
                    "It pours noise over the acts, so a unit there would explain itself.",
                )  # fmt: skip
        prefix, rows = units.prefix(x), torch.arange(len(x), device=x.device)
        blur = Blur.over(units.model.grid, self.smooth)
        found = [self._fit_all(prefix, rows, target, blur) for target in targets]
        drawn = prefix.valid & ~prefix.special
        unit = "nats"
        return [
            Attribution(x, nats, drawn, units.model.grid, unit, figures) for nats, figures in found
        ]

    def _fit_all(
        self, prefix: Prefix, rows: Int[Tensor, " b"], target: Target, blur: "Blur | None"
    ) -> tuple[Float[Tensor, "b n"], dict[str, Tensor]]:
        pairs = rows.split(max(1, self.batch // self.draws))
        parts = [self._fit(prefix, part, target.at(part), blur) for part in pairs]
        figures = {key: torch.cat([p[1][key] for p in parts]) for key in parts[0][1]}
        return torch.cat([p[0] for p in parts]), figures

    def _fit(
        self, prefix: Prefix, rows: Int[Tensor, " b"], target: Target, blur: "Blur | None"
    ) -> tuple[Float[Tensor, "b n"], dict[str, Tensor]]:
        channel = Channel.over(prefix, rows, self, blur)
        resume = Resumed(prefix, rows, target)
        with torch.no_grad():
            clean, blocked = resume.each(torch.stack([prefix.acts[rows], channel.base]))
        beta = self.beta / clean.clamp(min=0.05) if self.adaptive else self.beta
        alpha = torch.full_like(
            channel.r[..., :1] if self.per == "token" else channel.r, self.start
        )
        alpha.requires_grad_()
        optimizer = torch.optim.Adam([alpha], lr=self.lr)
        last = clean.new_full(clean.shape, torch.inf)
        settled = torch.zeros_like(clean, dtype=torch.bool)
        before = alpha.detach()
        for step in range(self.steps):
            fit = clean
            if self.poured(step) > self.coast or step >= self.steps // 2:
                fit = resume(channel.pour(alpha, self.noise(step, channel.r)))
            loss = beta * channel.price(alpha) - fit  # (4), one per pair
            (alpha.grad,) = torch.autograd.grad(loss.sum(), [alpha])
            before = alpha.detach().clone()
            optimizer.step()
            settled |= (loss.detach() - last).abs() < self.tolerance
            alpha.data[settled] = before[settled]
            last = loss.detach()
            if settled.all():
                break
        alpha = before if self.stale else alpha.detach()
        with torch.no_grad():
            nats = channel.information(alpha).sum(-1)
            noise = replace(self, quiet=0.0).noise(self.steps, channel.r)
            figures = {
                "clean": clean,
                "blocked": blocked,
                "bottlenecked": resume(channel.pour(alpha, noise)),
                "kept": (nats * channel.drawn).sum(1) / channel.most(self.start),
                "special": 1 - (nats * channel.drawn).sum(1) / nats.sum(1).clamp(min=1e-9),
            }
        return nats, figures

    def poured(self, step: int) -> float:
        """The most noise that a step pours, as a share of a spread."""
        return 1 / (1 + exp(min(self.start - self.lr * step, 700)))

    def noise(self, step: int, r: Acts) -> Float[Tensor, "s n d"]:
        """The noise of a step: it depends neither on the batch nor on its padding."""
        if self.poured(step) <= self.quiet:
            return r.new_zeros(1, *r.shape[1:])
        normal = torch.Generator(r.device).manual_seed(self.seed * 1_000_003 + step)
        half = (self.draws + 1) // 2 if self.antithetic else self.draws
        width = -(-r.shape[2] // 16) * 16  # randn repeats itself in blocks of 16 only
        noise = torch.randn((r.shape[1], half, width), generator=normal, device=r.device)
        noise = noise[..., : r.shape[2]].transpose(0, 1)
        return torch.cat([noise, -noise])[: self.draws] if self.antithetic else noise


@dataclass(frozen=True)
class Channel:
    """The noisy channel at the site: equations (1) to (3) for a batch of pairs."""

    base: Acts
    r: Acts
    spread: Float[Tensor, "b n d"]
    open: Mask
    drawn: Mask
    blur: "Blur | None"

    @classmethod
    def over(
        cls,
        prefix: Prefix,
        rows: Int[Tensor, " b"],
        how: InformationBottleneck,
        blur: "Blur | None",
    ) -> "Channel":
        """Standardise the acts of `rows`, and decide which positions the channel covers."""
        acts, special, valid = prefix.acts[rows], prefix.special[rows], prefix.valid[rows]
        moments = how.moments or Moments.of(prefix)
        if isinstance(moments, str):
            moments = Moments.raw(acts.shape[-1])
        mean, spread = moments.at(acts, special & valid)
        base = acts
        if how.special == "block":
            base = torch.where(special[..., None], mean, acts)
        covered = valid if how.special == "channel" else valid & ~special
        return cls(base, (acts - mean) / spread, spread, covered, valid & ~special, blur)

    def leak(self, alpha: Tensor) -> Tensor:
        """1-λ, blurred over patches."""
        leak = torch.sigmoid(-alpha)
        return self.blur(leak, self.drawn) if self.blur else leak

    def seal(self, alpha: Tensor) -> Tensor:
        """-log(1-λ), which is softplus(α) where nothing is blurred, and never overflows."""
        return -self.leak(alpha).clamp(min=1e-37).log() if self.blur else softplus(alpha)

    def pour(self, alpha: Tensor, noise: Float[Tensor, "s n d"]) -> Float[Tensor, "s b n d"]:
        """Equation (1), for each draw: a + (1-λ) σ (ε - r), and a itself where not covered."""
        leak = self.leak(alpha) * self.open[..., None]
        return self.base + (leak * self.spread) * (noise[:, None] - self.r)

    def information(self, alpha: Tensor) -> Float[Tensor, "b n d"]:
        """Equation (3), zero where the channel does not reach."""
        leak = self.leak(alpha)
        nats = 0.5 * (((1 - leak) * self.r).pow(2) + leak.pow(2) - 1) + self.seal(alpha)
        return nats * self.open[..., None]

    def price(self, alpha: Tensor) -> Float[Tensor, " b"]:
        """Nats per entry of the channel, for each pair."""
        entries = self.open.sum(1) * self.r.shape[-1]
        return self.information(alpha).sum((1, 2)) / entries.clamp(min=1)

    def most(self, start: float) -> Float[Tensor, " b"]:
        """The nats of drawn positions with the mask as open as it began."""
        nats = self.information(torch.full_like(self.r[..., :1], start)).sum(-1)
        return (nats * self.drawn).sum(1).clamp(min=1e-9)


@dataclass(frozen=True)
class Blur:
    """A Gaussian over the patches of a grid, which leaves a constant as it is."""

    down: Float[Tensor, "h h"]
    across: Float[Tensor, "w w"]

    @classmethod
    def over(cls, grid: tuple[int, int] | None, width: float) -> "Blur | None":
        """The blur of a grid; None where nothing is to be blurred."""
        if grid is None or not width:
            return None
        return cls(*(gaussian(size, width) for size in grid))

    def __call__(self, values: Float[Tensor, "b n k"], drawn: Mask) -> Float[Tensor, "b n k"]:
        """Blur the positions of the grid, which are those drawn, and no others."""
        grid = (len(self.down), len(self.across))
        patches = values[drawn].unflatten(0, (len(values), *grid))
        down, across = self.down.to(values), self.across.to(values)
        blurred = torch.einsum("ij,wv,bjvk->biwk", down, across, patches)
        out = values.clone()
        out[drawn] = blurred.flatten(0, 2)
        return out


@dataclass(frozen=True)
class Resumed:
    """The target of pairs, from acts at the site; the mean over draws is what is optimised."""

    prefix: Prefix
    rows: Int[Tensor, " b"]
    target: Target

    def __call__(self, acts: Float[Tensor, "s b n d"]) -> Float[Tensor, " b"]:
        return self.each(acts).mean(0)

    def each(self, acts: Float[Tensor, "s b n d"]) -> Float[Tensor, "s b"]:
        """The target for each draw."""
        each = torch.arange(len(self.rows), device=self.rows.device).repeat(len(acts))
        flat = acts.flatten(0, 1)
        run = Run(flat, lambda: self.prefix.resume(flat, self.rows[each]))
        return self.target.at(each)(run).unflatten(0, acts.shape[:2])
