"""Known factors of a shipped model's world, and how they lie in its latents.

`zoo:vae` learned drawn sprites, whose factors are known: of each it can be said which latents hold
it, and whether one alone does (`score.mutual_information_gap`).
"""

from collections.abc import Callable
from typing import Any

import torch

from legenda.core.units import Units
from legenda.score.mutual_information_gap import MutualInformationGap

COUNT, SEED = 2000, 77
"""Sprites that are measured, and the seed they are drawn by: none that was learned from."""
WORLDS = {"zoo:vae": "colour"}
"""Models whose pictures have known factors, by reference."""


@torch.no_grad()
def factors_of(
    units: Units, report: Callable[[str, int, int], None] = lambda *_: None, count: int = COUNT
) -> dict[str, Any] | None:
    """The mutual information gap and what holds each factor; None where factors are not known.

    A latent is said by its number in the set, since units of the atlas may not be there yet.
    """
    from legenda.zoo.sprites.world import WORLDS as KNOWN
    from legenda.zoo.sprites.world import drawn

    model: Any = units.model
    if model.ref not in WORLDS:
        return None
    report("measuring factors", 0, 1)
    truth = drawn(KNOWN[WORLDS[model.ref]], count, SEED)
    codes = torch.cat([model.acts(truth.pixels(rows))[:, 0] for rows in torch.arange(count).split(256)])  # fmt: skip # noqa: E501
    levels = torch.from_numpy(truth.factors).long()
    found = MutualInformationGap()(codes.double(), levels, truth.world.factors)
    score, control = found.score, found.score.control_interval or (None, None)
    table = {
        "name": "mutual information gap", "value": score.value, "low": score.interval[0],
        "high": score.interval[1], "n": score.n, "control": score.control,
        "control_low": control[0], "control_high": control[1],
    }  # fmt: skip
    rows = zip(found.factors, found.each.tolist(), found.first.tolist(), found.nats.T.tolist(), strict=True)  # fmt: skip # noqa: E501
    factors = [
        {"factor": name, "gap": gap, "latent": first, "nats": nats[0], "nats of the next": nats[1]}
        for name, gap, first, nats in rows
    ]
    return {"world": truth.world.name, "table": [table], "factors": factors}
