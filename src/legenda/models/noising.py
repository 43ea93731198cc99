"""How a picture turns into noise, time by time, and the deterministic way back.

Of a picture x_0, ᾱ_t says how much is left at time t beside the noise ε:

    x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε                                         (1)

A network that is told x_t and t says ε, or what ε follows from. One step down, from t to s, is

    x_0 = (x_t - √(1 - ᾱ_t) ε) / √ᾱ_t                                     (2)
    x_s = √ᾱ_s x_0 + √(1 - ᾱ_s) ε                                         (3)

and the same two solved for x_t are the step back up, with ε still that of x_t:

    x_t = √(ᾱ_t / ᾱ_s) (x_s - √(1 - ᾱ_s) ε) + √(1 - ᾱ_t) ε                (4)

References
----------
Ho, Jain, Abbeel. Denoising diffusion probabilistic models. NeurIPS 2020. (1).
Song, Meng, Ermon. Denoising diffusion implicit models. ICLR 2021. (2) and (3).
Salimans, Ho. Progressive distillation for fast sampling of diffusion models. ICLR 2022. v.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from math import inf
from typing import Any

from jaxtyping import Float
from torch import Tensor

from legenda.errors import Refused
from legenda.types import Images

SAYS = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Noising:
    """How pictures turn into noise, and what the network says of it.

    Parameters
    ----------
    alphas: ᾱ of each time, falling; larger leaves more of the picture.
    says: "epsilon", "v_prediction" or "sample": the noise, √ᾱ ε - √(1 - ᾱ) x_0, or x_0.
    bound: x_0 is cut to ± this in (2), as some models are sampled; infinity never cuts.
    first: ᾱ of the picture itself, 1 unless the sampler stops short of it.
    """

    alphas: Float[Tensor, " t"] = field(repr=False)
    says: str = "epsilon"
    bound: float = inf
    first: float = 1.0

    def alpha(self, time: int) -> float:
        """What is left of the picture; time -1 is the picture itself."""
        return self.first if time < 0 else float(self.alphas[time])

    def times(self, share: float, steps: int) -> list[int]:
        """From a share of all times down; `steps` would go all the way. The last is -1."""
        whole, stride = len(self.alphas), len(self.alphas) / steps
        count = max(1, round(share * whole / stride))
        return [round(share * whole - i * stride) - 1 for i in range(count)] + [-1]

    def epsilon(self, said: Images, x: Images, time: int) -> Images:
        """The noise, from what the network says."""
        a = self.alpha(time)
        if self.says == "v_prediction":
            return a**0.5 * said + (1 - a) ** 0.5 * x
        return (x - a**0.5 * said) / (1 - a) ** 0.5 if self.says == "sample" else said

    def step(self, x: Images, start: int, end: int, first: Images, second: Images) -> Images:
        """Equation (2) with the first noise, (3) with the second: one and the same, as a rule."""
        a, b = self.alpha(start), self.alpha(end)
        clean = ((x - (1 - a) ** 0.5 * first) / a**0.5).clamp(-self.bound, self.bound)  # (2)
        return b**0.5 * clean + (1 - b) ** 0.5 * second  # (3)

    def back(self, x: Images, start: int, end: int, noise: Images) -> Images:
        """Equation (4)."""
        s, t = self.alpha(start), self.alpha(end)
        return (t / s) ** 0.5 * (x - (1 - s) ** 0.5 * noise) + (1 - t) ** 0.5 * noise


def noising_of(config: Mapping[str, Any], name: str) -> Noising:
    """The times of any scheduler of diffusers that adds noise by (1), from its settings."""
    from diffusers import DDIMScheduler  # pyright: ignore

    known = signature(DDIMScheduler.__init__).parameters
    made = DDIMScheduler(**{key: value for key, value in config.items() if key in known})
    settings: Any = made.config
    if settings.prediction_type not in SAYS or settings.thresholding:
        raise Refused(
            f"{name} has a scheduler that cuts pictures by thresholds, or a network that says "
            f"{settings.prediction_type!r}; legenda knows {', '.join(SAYS)}, without thresholds. "
            "Open another model."
        )
    if float(made.alphas_cumprod.min()) <= 0:
        raise Refused(
            f"{name} leaves nothing of a picture at its last time, where no step can start. "
            "Set `rescale_betas_zero_snr` to false in its scheduler."
        )
    bound = settings.clip_sample_range if settings.clip_sample else inf
    return Noising(made.alphas_cumprod, settings.prediction_type, bound, float(made.final_alpha_cumprod))  # fmt: skip # noqa: E501
