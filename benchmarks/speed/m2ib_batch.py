"""M2IB, 64 pairs at once against one at a time, on ViT-B/32 shapes; maps must be equal."""

import os

import torch

from benchmarks.speed.m2ib import explain_both, interleaved, vit_b_32
from benchmarks.table import Measurement, Row, quick
from legenda.core.target import Similarity
from legenda.corpus.survey import survey_moments
from legenda.explain.bottleneck import InformationBottleneck
from legenda.explain.settings import explainer, for_tower
from legenda.models.dual import Dual
from legenda.models.opening import open_model
from legenda.zoo.scenes import draw
from legenda.zoo.scenes.shipped import TEST_SEEDS


def measure() -> Measurement:
    """Pairs per second, and the equality of the maps on `zoo:scenes`."""
    dual, count = vit_b_32(), 8 if quick() else 64
    lot = torch.Generator().manual_seed(1)
    x = torch.randn(count, 3, 224, 224, generator=lot)
    ids = dual.ids([draw(i, most=1).caption() for i in range(count)])
    how = {
        "image": InformationBottleneck(moments=survey_moments(dual.image, [x[:8]], "the pairs")),
        "text": InformationBottleneck(moments=survey_moments(dual.text, [ids], "the pairs")),
    }
    seconds = interleaved(
        {
            "at once": lambda: explain_both(dual, x, ids, how),
            "one by one": lambda: [
                explain_both(dual, x[i : i + 1], ids[i : i + 1], how) for i in range(count)
            ],
        },
        rounds=1 if quick() else 3,
    )
    ratios = sorted(b / a for a, b in zip(seconds["at once"], seconds["one by one"], strict=True))
    gain = ratios[len(ratios) // 2]
    at_once = count / sorted(seconds["at once"])[len(ratios) // 2]
    rows = [
        Row("64 pairs at once against one at a time", gain, "x", "pairs/s ≥1.2× one at a time", gain >= 1.2, len(ratios)),
        Row("pairs per second at once", at_once, "1/s", "", None, len(ratios)),
        *equality(16 if quick() else 64),
    ]  # fmt: skip
    return Measurement("m2ib-batch", rows, [1], (f"load {os.getloadavg()[0]:.2f}",))


def equality(count: int) -> list[Row]:
    """The largest relative difference between maps made at once and one at a time."""
    from benchmarks.speed.m2ib import _normal, _picture
    from legenda.agreement import units

    dual = open_model("zoo:scenes")
    assert isinstance(dual, Dual) and dual.reference is not None
    scenes = [draw(TEST_SEEDS + i) for i in range(count)]
    x, ids = dual.pixels([_picture(s) for s in scenes]), dual.ids([s.caption() for s in scenes])
    partners = {"image": _normal(dual.text, ids), "text": dual.embed_images(x)}
    rows = []
    for tower, model, inputs in (("image", dual.image, x), ("text", dual.text, ids)):
        moments = dual.reference.at(tower, model.block)  # pyright: ignore
        how = explainer("m2ib", moments, **for_tower(dual.beta, tower, "m2ib", {}))
        opened, partner = units(model, inputs), partners[tower]
        once = how(opened, inputs, Similarity("partner", partner)).scores
        alone = [how(opened, inputs[i : i + 1], Similarity("partner", partner[i : i + 1])).scores for i in range(count)]  # fmt: skip # noqa: E501
        apart = torch.cat(alone)
        gap = float(((once - apart).abs().amax(1) / apart.abs().amax(1)).max())
        rows.append(Row(f"largest relative difference, {tower} map", gap, "", "maps equal to one-at-a-time (relative 1e-3)", gap <= 1e-3, count))  # fmt: skip # noqa: E501
    return rows
