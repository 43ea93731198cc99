"""What `zoo:scenes` knows of scenes it has never seen: `make truth ROW=scenes-model`."""

from benchmarks.table import Measurement, Row, quick
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.zoo.scenes.held_out import held_out
from legenda.zoo.scenes.shipped import TEST_SEEDS

GOALS = {
    "R@1 image to text": (0.75, "256-way R@1 ≥0.75"),
    "caption, colour against all others": (0.97, "colour ≥0.97"),
    "caption, kind against all others": (0.80, "shape ≥0.80"),
}


def measure() -> Measurement:
    """Retrieval and one-attribute distractors on held-out scenes."""
    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual)
    rows = []
    for share in held_out(dual, TEST_SEEDS + 500_000, groups=1 if quick() else 4):
        floor, goal = GOALS.get(share.name, (0.0, ""))
        ok = share.value >= floor if goal else None
        rows.append(
            Row(share.name, share.value, "share", goal, ok, share.n, share.interval, share.chance)
        )
    rows.sort(key=lambda r: not r.goal)
    return Measurement("scenes-model", rows, [TEST_SEEDS + 500_000])
