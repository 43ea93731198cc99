"""M2IB on ViT-B/32 shapes: seconds per pair against the published procedure.

Both explain both towers of one pair. At identical noise the maps must be equal, which is
checked on `zoo:scenes`; with our default draws they must be as steady as a ten-draw map.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from benchmarks.twin import published
from legenda.agreement import both, units
from legenda.core.interval import bootstrap
from legenda.core.target import Similarity
from legenda.corpus.survey import survey_moments
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.settings import explainer, for_tower
from legenda.models.dual import Dual
from legenda.models.hub import dual_of
from legenda.models.opening import open_model
from legenda.presets import M2IB
from legenda.zoo.scenes import draw, photograph
from legenda.zoo.scenes.shipped import TEST_SEEDS
from legenda.zoo.scenes.words import tokenizer

SENTENCE = "a striped red house and a blue circle on sand"


def vit_b_32() -> Dual:
    """A CLIP of ViT-B/32 shapes with random weights: time does not depend on them."""
    from transformers import CLIPConfig, CLIPModel

    from legenda.corpus.view_box import Preprocess

    words = tokenizer()
    special = {f"{k}_token_id": getattr(words, f"{k}_token_id") for k in ("bos", "eos", "pad")}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=special)).eval().requires_grad_(False)
    preprocess = Preprocess((224, 224), "shortest", True, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return dual_of(model, words, preprocess, site={"image": 9, "text": 9}, ref="vit-b-32")


def explain_both(dual: Dual, x: Tensor, ids: Tensor, how: dict[str, InformationBottleneck]) -> Any:
    """Both maps of pairs, each tower begun once."""
    return both(dual, x, ids, how["image"], how["text"])[:2]


def measure() -> Measurement:
    """The rows of issue 2 about speed."""
    dual = vit_b_32()
    x, ids = (
        torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)),
        dual.ids([SENTENCE]),
    )
    ours = {
        t: InformationBottleneck(moments=survey_moments(m, [inputs], "the pair"))
        for t, m, inputs in (("image", dual.image, x), ("text", dual.text, ids))
    }
    twin_steps = 1 if quick() else 10
    runs: dict[str, Callable[[], Any]] = {
        "twin": lambda: _twin(dual, x, ids, twin_steps),
        "same noise": lambda: explain_both(dual, x, ids, {"image": M2IB, "text": M2IB}),
        "default": lambda: explain_both(dual, x, ids, ours),
    }
    seconds = interleaved(runs, rounds=3)
    slow = median(seconds["twin"]) * 10 / twin_steps
    same, default = median(seconds["same noise"]), median(seconds["default"])
    spread = {k: (min(v), max(v)) for k, v in seconds.items()}
    notes = [
        f"seconds per pair: twin {slow:.3f}, same noise {same:.4f}, default {default:.4f}; "
        f"spread { ({k: tuple(round(s, 4) for s in v) for k, v in spread.items()}) }; "
        f"load {os.getloadavg()[0]:.2f}, threads {torch.get_num_threads()}"
    ]
    if quick():
        notes.append("quick: one step of the twin was run and multiplied by ten")
    rows = [
        Row("default against the published procedure", slow / default, "x", "≥50× (aim ≥100×)", slow / default >= 50, 3),
        Row("identical noise against the published procedure", slow / same, "x", "≥12×", slow / same >= 12, 3),
        Row("pairs per second, default", 1 / default, "1/s", "", None, 3),
    ]  # fmt: skip
    return Measurement("m2ib", rows + equality() + steadiness(), [0, 1], tuple(notes))


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run, all of them once per round, after one warm-up of the quick ones."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for name, run in runs.items():
        if name != "twin":
            run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def equality() -> list[Row]:
    """At identical noise, our preset and the literal twin give one map, on `zoo:scenes`."""
    dual = open_model("zoo:scenes", "image=1,text=1")
    assert isinstance(dual, Dual)
    rows, worst = [], {"image": 0.0, "text": 0.0}
    count = 2 if quick() else 8
    for i in range(count):
        scene = draw(TEST_SEEDS + i)
        x, ids = dual.pixels([_picture(scene)]), dual.ids([scene.caption()])
        seen, read = explain_both(dual, x, ids, {"image": M2IB, "text": M2IB})
        for tower, found, model in (("image", seen, dual.image), ("text", read, dual.text)):
            slow = published(dual.image.root, x, ids, tower, model.block, same_noise(found.scores))  # pyright: ignore  # noqa: E501
            gap = float((found.scores[0] - slow).abs().max() / slow.abs().max())
            worst[tower] = max(worst[tower], gap)
    for tower, gap in worst.items():
        goal = "equal maps (relative error ≤1e-3 on zoo:scenes)"
        rows.append(Row(f"largest relative error, {tower} map", gap, "", goal, gap <= 1e-3, count))
    return rows


def steadiness() -> list[Row]:
    """Spearman of the default map, and of ten draws, to 200 draws of the same objective."""
    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual) and dual.reference is not None
    count = 4 if quick() else 100
    scenes = [draw(TEST_SEEDS + i) for i in range(count)]
    x, ids = dual.pixels([_picture(s) for s in scenes]), dual.ids([s.caption() for s in scenes])
    tower, site = "image", dual.image.block  # pyright: ignore
    moments = dual.reference.at(tower, site)
    base = explainer("m2ib", moments, **for_tower(dual.beta, tower, "m2ib", {}))
    target = Similarity("captions", _normal(dual.text, ids))
    seen, many = units(dual.image, x), 30 if quick() else 200
    reference = replace(base, draws=many, seed=2, coast=0.0)(seen, x, target).map().flatten(1)

    def likeness(**how: Any) -> Tensor:
        maps = replace(base, **how)(seen, x, target).map().flatten(1)
        pairs = zip(maps, reference, strict=True)
        return torch.tensor([_spearman(a, b) for a, b in pairs], dtype=torch.float64)

    found = {
        "default": likeness(),
        "ten draws": likeness(draws=10, seed=1),
        "ten draws, independent, in every step": likeness(draws=10, seed=1, antithetic=False, quiet=0.0, coast=0.0),
    }  # fmt: skip
    median = {name: float(each.quantile(0.5)) for name, each in found.items()}
    ok = median["default"] >= median["ten draws"] - 0.02
    goal = "≥ that of a 10-draw map − 0.02"
    return [
        Row(
            f"median Spearman to {many} draws, {name}", median[name], "",
            *((goal, ok) if name == "default" else ("", None)),
            count, bootstrap(each, of="median"), median["ten draws"] if name == "default" else None,
        )
        for name, each in found.items()
    ]  # fmt: skip


def same_noise(scores: Tensor) -> Callable[[int], Tensor]:
    """The noise that `M2IB` draws, step by step, for a map of this width."""
    width = 192 if scores.shape[1] == 145 else 128
    like = torch.empty(1, scores.shape[1], width)
    return lambda step: M2IB.noise(step, like)


def _twin(dual: Dual, x: Tensor, ids: Tensor, steps: int) -> None:
    root: Any = dual.image.root  # pyright: ignore
    root.requires_grad_(True)
    for tower, n, d in (("image", 50, 768), ("text", ids.shape[1], 512)):
        normal = torch.Generator().manual_seed(0)
        published(root, x, ids, tower, 9, lambda _, n=n, d=d, g=normal: torch.randn(10, n, d, generator=g), steps=steps)  # fmt: skip # noqa: E501
    root.requires_grad_(False)
    root.zero_grad()


def _normal(model: Any, ids: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.nn.functional.normalize(model.run(ids).output, dim=-1)


def _picture(scene: Any) -> Any:
    from PIL import Image

    return Image.fromarray(photograph(scene))


def _spearman(a: Tensor, b: Tensor) -> float:
    found: Any = spearmanr(a.numpy(), b.numpy())
    return float(np.nan_to_num(found.statistic))
