"""One measure of faithfulness for four systems: what is lost without what a method says matters.

Each system explains a number f of a picture: M2IB a cosine by patches, CORTEX a logit by tokens, a
dictionary a likeness to a sentence by concepts, a latent model an attribute by latents. Let what it
puts first be taken away, and as much by lot. With f of the whole picture, without that part, and
with nothing left at all,

    share = Σ_b (f_b - f_b without) / Σ_b (f_b - f_b of nothing)          (1)

is the share of all that there is to lose that goes with it, over pictures b. That is one unit for
all four: 0 where nothing is lost, 1 where all is, beyond 1 where more goes than with everything.
The control is (1) of as large a part by lot, of which there are several draws; the method, too, is
asked with several seeds where it has any. Intervals resample pictures, in (1) above and below alike.

How large a part is differs between systems (a share of patches, a concept, a latent), so that rows
are compared with their controls, and with each other only in how far they stand above them.

References
----------
Samek, Binder, Montavon, Lapuschkin, Müller. Evaluating the visualization of what a deep neural
network has learned. IEEE Transactions on Neural Networks and Learning Systems 2017. Regions that
are perturbed in the order of a map, beside a random order. (1) over all systems is our own.
"""  # noqa: E501

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from legenda.core.effect import ends
from legenda.core.explanation import Score
from legenda.core.interval import Interval
from legenda.errors import BadInput

NAME = "share lost without what matters"
LEAST = 3
"""Draws of the control, at least."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What became of pictures (b) without what a system puts first, and without as much by lot.

    Parameters
    ----------
    system, name: what explains, and by which method.
    number, part: what f is, and what is taken away, in words.
    clean, nothing: f of the whole picture, and of nothing.
    without: f without what is put first, for each seed of the method.
    by_lot: f without as much by lot, for each draw.
    """

    system: str
    name: str
    number: str
    part: str
    clean: Float[Tensor, " b"] = field(repr=False)
    nothing: Float[Tensor, " b"] = field(repr=False)
    without: Float[Tensor, "s b"] = field(repr=False)
    by_lot: Float[Tensor, "q b"] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what compares nothing."""
        if len(self.by_lot) < LEAST or not len(self.without) or len(self.clean) < 2:
            raise BadInput(
                f"faithfulness of {self.system} needs two pictures or more, a seed and {LEAST} "
                f"draws by lot; it got {len(self.clean)}, {len(self.without)} and "
                f"{len(self.by_lot)}."
            )
        parts = (self.clean, self.nothing, self.without, self.by_lot)
        if not all(bool(part.isfinite().all()) for part in parts):
            raise BadInput(f"faithfulness of {self.system} got numbers that are not finite. Find out why.")  # fmt: skip # noqa: E501


def share(trial: Trial, seed: int = 0, draws: int = 2000) -> Score:
    """Equation (1) beside its control."""
    whole = (trial.clean - trial.nothing).double()
    if not float(whole.sum()) > 0:
        raise BadInput(
            f"{trial.system} has nothing to lose: its {trial.number} is "
            f"{float(trial.clean.mean()):.3g} of whole pictures and "
            f"{float(trial.nothing.mean()):.3g} of nothing. Take pictures that show what is asked."
        )
    own, other = (lost(trial.clean, gone) for gone in (trial.without, trial.by_lot))
    value, within = ratio(own, whole, seed, draws)
    control, beside = ratio(other, whole, seed, draws)
    return Score(NAME, value, within, len(whole), True, control, beside, "share")


def lost(clean: Float[Tensor, " b"], gone: Float[Tensor, "s b"]) -> Float[Tensor, " b"]:
    """What goes, the mean over seeds."""
    return (clean - gone).double().mean(0)


def ratio(
    above: Float[Tensor, " b"], below: Float[Tensor, " b"], seed: int, draws: int
) -> tuple[float, Interval]:
    """A ratio of sums over pictures, and its interval; all ratios draw the same pictures."""
    lot = torch.Generator().manual_seed(seed)
    some = torch.randint(len(above), (draws, len(above)), generator=lot)
    found = above[some].sum(1) / below[some].sum(1)
    found = found[found.isfinite()]
    within = ends(found, 0.95) if len(found) else (float("nan"), float("nan"))
    return float(above.sum() / below.sum()), within


def row(trial: Trial, seed: int = 0) -> dict[str, Any]:
    """One line of the table: the share beside that by lot, and what it is of."""
    found = share(trial, seed)
    low, high = found.control_interval or (None, None)
    whole = (trial.clean - trial.nothing).double()
    seeds = [float((trial.clean - one).double().sum() / whole.sum()) for one in trial.without]
    said: dict[str, Any] = {
        "system": trial.system, "name": trial.name, "taken": trial.part, "value": found.value,
        "low": found.interval[0], "high": found.interval[1], "n": found.n,
        "control": found.control, "control_low": low, "control_high": high, "of": trial.number,
        "seeds": len(trial.without), "by seed": seeds, "draws by lot": len(trial.by_lot),
        "beats control": found.beats_control,
    }  # fmt: skip
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in said.items()}
