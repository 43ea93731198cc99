"""The 18 published VAEs: of each, how many latents are named, abstained from, and inactive."""

from benchmarks.speed.latents_18 import published, units_of
from benchmarks.table import Measurement, Row
from benchmarks.truths.latent_units import counts
from legenda.core.interval import wilson
from legenda.tasks.latents import study


def measure() -> Measurement:
    """A row of each model, and all together."""
    rows, total = [], [0, 0, 0]
    checks = []
    for path in published():
        found = study(units_of(path))
        named, silent, idle = counts(found)
        total = [a + b for a, b in zip(total, (named, silent, idle), strict=True)]
        own = [u.checked for u in found.units if u.checked is not None]
        checks += own
        rows += [
            Row(f"{path.stem}: named", named, ""), Row(f"{path.stem}: abstained", silent, ""),
            Row(f"{path.stem}: inactive", idle, ""),
        ]  # fmt: skip
    holds, picks = sum(c.holds for c in checks), sum(c.picks for c in checks)
    picked, pairs = sum(c.picked for c in checks), sum(c.pairs for c in checks)
    active = total[0] + total[1]
    head = [
        Row("named, of active units", total[0] / active, "", "", None, active, wilson(total[0], active)),  # noqa: E501
        Row("inactive, of all", total[2] / (active + total[2]), "", "", None, active + total[2], wilson(total[2], active + total[2])),  # noqa: E501
        Row("named units that hold on fresh rows", holds / len(checks), "", "", None, len(checks), wilson(holds, len(checks))),  # noqa: E501
        Row("right sheet picked among four from the sentence", picked / picks, "", "", None, picks, wilson(picked, picks), 0.25),  # noqa: E501
        Row("true claim taken, both false twins turned down", pairs / picks, "", "", None, picks, wilson(pairs, picks)),  # noqa: E501
    ]  # fmt: skip
    return Measurement("latents-published", head + rows, [0], ("draws of the prior as anchors",))
