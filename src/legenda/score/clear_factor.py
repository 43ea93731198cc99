"""Clear factor: can this latent be explained in words at all?

The ground truth against which certainties are judged. It is fixed here, with its numbers, before
any certainty is computed, and looks only at the encoder and the factors that pictures were drawn
from: never at a decoded picture, an answer, a describer or a certainty. Changing it after a look at
those would make what it judges worthless; whoever needs another rule gives it another name, and
reports both.

With KL_i the nats that latent i costs on average (`core.latent.activity`) and I_ik ≥ 0 what it says
of factor k (`factor_information.py`),

    active_i:  KL_i ≥ least_nats                                          (1)
    share_i = max_k I_ik / Σ_k I_ik                                       (2)
    clear_i:   active_i,  max_k I_ik ≥ least_information,  share_i ≥ share    (3)

An inactive latent says nothing, so there is nothing to explain; an active one that is not clear
either mixes factors or says something that no factor names.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from legenda.errors import BadInput, ShapeError
from legenda.score.factor_information import Information


@dataclass(frozen=True, eq=False)
class Clearness:
    """What can be explained, unit by unit.

    Parameters
    ----------
    active: equation (1).
    clear: equation (3).
    share: equation (2); 0 for a latent that says nothing of any factor.
    strongest: the two factors that it says most of, the first first; once where there is only one.
    information: nats that it says of these two.
    factors: names of all factors.
    pictures: how many it was measured on.
    """

    active: Bool[Tensor, " d"]
    clear: Bool[Tensor, " d"]
    share: Float[Tensor, " d"]
    strongest: Int[Tensor, "d two"]
    information: Float[Tensor, "d two"]
    factors: tuple[str, ...]
    pictures: int

    @property
    def factor(self) -> tuple[str, ...]:
        """The name of each clear unit's factor; empty for the others."""
        best = self.strongest[:, 0].tolist()
        return tuple(
            self.factors[k] if clear else ""
            for k, clear in zip(best, self.clear.tolist(), strict=True)
        )


@dataclass(frozen=True)
class ClearFactor:
    """Equations (1) to (3), `d f, d -> d`. The defaults are the rule; they are not for tuning.

    Parameters
    ----------
    least_nats: that a latent must cost to be active; larger leaves out more.
    least_information: nats that it must say of its strongest factor; larger asks more.
    share: of all it says of factors, what the strongest must have; larger asks for purer latents.
    """

    least_nats: float = 0.1
    least_information: float = 0.25
    share: float = 0.6

    def __post_init__(self) -> None:
        if min(self.least_nats, self.least_information) < 0 or not 0 <= self.share <= 1:
            raise BadInput(
                f"ClearFactor needs nats of 0 or more and a share from 0 to 1; it got "
                f"least_nats={self.least_nats}, least_information={self.least_information}, "
                f"share={self.share}."
            )

    def __call__(self, information: Information, nats: Float[Tensor, " d"]) -> Clearness:
        """`nats`: what each latent costs, on average over pictures."""
        said = information.nats.clamp(min=0)
        if nats.shape != said.shape[:1]:
            raise ShapeError(
                f"ClearFactor needs the nats of each of {len(said)} latents, averaged over "
                f"pictures; it got {tuple(nats.shape)}. `core.latent.activity` gives them."
            )
        if not nats.isfinite().all():
            raise BadInput(
                f"ClearFactor needs finite nats; {int((~nats.isfinite()).sum())} of {len(nats)} "
                "are not. Look at the encoder's variances."
            )
        cost, total = nats.detach().to("cpu", torch.float64), said.sum(1)
        top = said.topk(min(2, said.shape[1]), dim=1)
        most = top.values[:, 0]
        share = most / total.where(total > 0, 1.0)  # (2)
        active = cost >= self.least_nats  # (1)
        clear = active & (most >= self.least_information) & (share >= self.share)  # (3)
        return Clearness(
            active, clear, share, top.indices, top.values,
            information.factors, len(information.pointwise),
        )  # fmt: skip
