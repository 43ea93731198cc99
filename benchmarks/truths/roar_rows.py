"""ROAR+: remove what a method attributes most, really fine-tune: `make truth ROW=m2ib-roar`."""

import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.contest import methods
from legenda.agreement import units
from legenda.core.interval import bootstrap
from legenda.core.target import digest
from legenda.explain.random import Random
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.score.compare import difference
from legenda.score.roar import RemoveAndRetrain
from legenda.zoo.scenes.tuning import Tuning, split

RIVALS = ("m2ib", "integrated gradients", "centre")


def measure() -> Measurement:
    """The cost of removal on the scenes world."""
    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual)
    return Measurement("m2ib-roar", measured(dual, lambda line: sys.stderr.write(line + "\n")), [0])


def once(tune: Tuning) -> Callable[[Tensor, Tensor], Tensor]:
    """The same tuning, done once for the same pictures: whole ones are shared by all methods."""
    done: dict[tuple[str, str], Tensor] = {}

    def tuned(train: Tensor, test: Tensor) -> Tensor:
        key = digest(train), digest(test)
        if key not in done:
            done[key] = tune(train, test)
        return done[key]

    return tuned


def measured(dual: Dual, say: Callable[[str], object]) -> list[Row]:
    """The cost of removal in held-out retrieval, for a few methods and for random removal."""
    few = quick()
    scenes = split(32, 32) if few else split(512, 256)
    x = scenes.pixels
    target = dual.similar_to_text(list(scenes.sentences))
    root: Any = dual.image.root  # pyright: ignore
    tune = Tuning(
        root,
        dual.words.tokenizer,
        scenes.sentences,
        images=64 if few else 2048,
        batch=32 if few else 64,
    )
    measure = RemoveAndRetrain(once(tune), scenes.train, (0.5,) if few else (0.3,))
    opened, made = units(dual.image, x), methods(dual)
    values: dict[str, Tensor] = {}
    for name in ("random", *(RIVALS[:1] if few else RIVALS)):
        method = Random() if name == "random" else made[name]
        values[name] = measure.each(opened, x, target, method(opened, x, target)).float()
        say(f"ROAR+: {name} {float(values[name].mean()):.3f}")
    blind = values["random"]
    rows = []
    for name, each in values.items():
        lead = difference(name, each, "random", blind)
        ok = lead.interval[0] > 0 if name == "m2ib" and not few else None
        goal = "removal costs more than random removal" if name == "m2ib" else ""
        rows.append(
            Row(
                f"ROAR+, cost of removal: {name}",
                float(each.mean()),
                "share of held-out pairs",
                goal,
                ok,
                len(each),
                bootstrap(each),
                float(blind.mean()),
            )
        )
    return rows
