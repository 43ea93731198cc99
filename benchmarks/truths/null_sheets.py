"""Sheets without a pattern: how often nothing is said of them, and what that leaves of the rest.

Shuffled and constant sheets of every active unit. A threshold that at most 1 in 20 such sheets of
other models reach is set for each model; coverage is of units that do have a factor.
"""

import torch

from benchmarks.speed.latents_18 import published as files
from benchmarks.speed.latents_18 import units_of
from benchmarks.table import Measurement, Row, quick
from benchmarks.truths import small_vaes
from benchmarks.truths.latent_units import published, small, units
from legenda.core.interval import wilson
from legenda.core.sheet import constant, reordered, shuffled
from legenda.describe.measured import frames
from legenda.errors import Missing
from legenda.score.answer_agreement import AttributeAgreement
from legenda.score.certainty import certainty
from legenda.score.conformal import Conformal
from legenda.score.null_sheets import NullSheets
from legenda.tasks.latent_ground import alive, grounded, sheets
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latent_story import NAMED

KINDS = ("shuffled", "constant")
EACH = 5
"""Controls of each kind, for each unit."""


def nulls_of(units: object, how: LatentSettings, found: dict[str, list[float]]) -> int:
    """Certainties of the controls of one model; how many there are of a kind."""
    ground = grounded(units, how, None)  # pyright: ignore
    active, count = alive(units, range(len(units)), how, ground), 0  # pyright: ignore
    for sheet in sheets(units, active, how, ground, None):  # pyright: ignore
        values = frames(sheet)  # a frame is measured the same wherever it stands
        for kind, order in (("shuffled", shuffled), ("constant", constant)):
            for seed in range(EACH):
                mixed = reordered(values, order(values, 1_000 + seed))
                answers = ground.measured.looks(mixed)
                found[kind].append(certainty(AttributeAgreement()(answers)).value)
        count += EACH
    return count


def measure() -> Measurement:
    """Abstention by kind, coverage, and names with a bounded share of false ones."""
    how, which = LatentSettings(), small_vaes.TEST[:2] if quick() else small_vaes.TEST
    values: dict[str, list[float]] = {kind: [] for kind in KINDS}
    groups: list[str] = []
    try:
        paths = files()[:2] if quick() else files()
    except Missing:
        paths = []
    for path in [*small_vaes.trained(which), *paths]:
        name = path.parent.name if path.stem == "vae" else path.stem
        groups += [name] * nulls_of(units_of(path), how, values)
    sure = {kind: torch.tensor(v, dtype=torch.float64) for kind, v in values.items()}
    found = NullSheets(how.alpha)(sure, dict.fromkeys(KINDS, groups))
    known = [u for u in units(small(which) + published()) if u.active]
    factor = [u for u in known if u.clear]
    named = sum(u.story.verdict == NAMED for u in factor)
    floor = sum(u.certainty >= found.threshold for u in factor)
    every = torch.tensor([u.certainty for u in known], dtype=torch.float64)
    safe = Conformal(how.alpha)(every, sure).named
    kept = sum(bool(s) and u.clear for s, u in zip(safe, known, strict=True))
    n = len(factor)
    rows = [
        Row(f"silent on {kind} sheets of other models", s.value, "", ">=.95", s.value >= 0.95, s.n, s.interval)  # noqa: E501
        for kind, s in found.abstained.items()
    ]  # fmt: skip
    rows += [
        Row("coverage of units with a factor, as shipped", named / n, "", "", None, n, wilson(named, n)),  # noqa: E501
        Row("coverage at the threshold of the nulls alone", floor / n, "", "", None, n, wilson(floor, n)),  # noqa: E501
        Row("coverage of conformal names", kept / n, "", "", None, n, wilson(kept, n)),
        Row("threshold of the nulls alone", found.threshold, ""),
        Row("models", len(set(groups)), ""),
    ]  # fmt: skip
    return Measurement("null-sheets", rows, [0, 1, 2])
