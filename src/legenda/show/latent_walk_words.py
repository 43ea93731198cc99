"""What is said of directions of a diffusion model in sentences, and as plain values."""

from typing import Any

from legenda.core.interval import wilson
from legenda.show.view import finite
from legenda.tasks.latent_story import NAMED, Lot, Study, Walked


def directions(study: Study) -> str:
    """How directions were found, and how others fared; nothing where units are of another kind."""
    found = study.walked
    if found is None:
        return ""
    count, named = len(study.units), sum(u.verdict == NAMED for u in study.units)
    effects = sum(u.effect for u in study.units) / max(1, count)
    first, last = found.strengths[0], found.strengths[-1]
    sure = "" if found.converged else " They are not found exactly: the search stopped early."
    lots = "; ".join(map(by_lot, found.lots))
    return (
        f"The units are the directions from noisy pictures, at time {found.time:g}, along which "
        f"{found.site} changes most (by {first:.1f} to {last:.1f} per length), shared by "
        f"{found.seeds} seeds of noise that begin no row.{sure} Any direction changes pictures: of "
        f"these {count}, {named} {'is' if named == 1 else 'are'} named, and colours change by "
        f"{effects:.3f} of white along a row. As a control, directions of the same length by lot "
        f"went through the same: {lots}."
    )


def by_lot(lot: Lot) -> str:
    """What came of one kind of control."""
    low, high = wilson(lot.named, lot.count)
    what = "wholly random" if lot.kind == "random" else lot.kind
    return (
        f"of {lot.count} {what} ones {lot.named} {'is' if lot.named == 1 else 'are'} named (95 %: "
        f"{100 * low:.0f} to {100 * high:.0f} %), colours changing by {lot.effect:.3f}"
    )


def plain(found: Walked | None) -> dict[str, Any] | None:
    """The same as numbers."""
    if found is None:
        return None
    return finite(
        {
            "site": found.site, "time": found.time, "seeds": found.seeds,
            "strengths": list(found.strengths), "converged": found.converged,
            "by_lot": [vars(lot) | {"interval": list(lot.interval)} for lot in found.lots],
        }
    )  # fmt: skip
