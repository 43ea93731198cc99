"""What lies behind many maps, as one table: how often the first concept is what is named."""

from collections.abc import Sequence
from typing import Any

import torch

from legenda.atlas.store import Atlas, loaded
from legenda.core.explanation import Score
from legenda.core.interval import bootstrap, wilson
from legenda.tasks.union_place import line

FIRST = "first concept is named by the sentence"


def summed(atlas: Atlas, study: int, keys: Sequence[str]) -> dict[str, Any]:
    """How often the first concept is one that the sentence names, and every pair's first."""
    rows = {
        row["key"]: (row["picture"], loaded(row["facts"]))
        for row in atlas.all("SELECT key, picture, facts FROM explanations WHERE study = ?", study)
    }
    pairs = [rows[key] for key in keys]
    right, n = sum(bool(facts["named first"]) for _, facts in pairs), len(pairs)
    by_lot = torch.tensor([facts["by lot"] / facts["lots"] for _, facts in pairs]).double()
    score = Score(
        FIRST, right / n, wilson(right, n), n, True, float(by_lot.mean()), bootstrap(by_lot),
        "share of pairs",
    )  # fmt: skip
    table = [first_row(picture, facts) for picture, facts in pairs]
    return {"question": FIRST, **line(score), "pairs": table}


def first_row(picture: int, facts: dict[str, Any]) -> dict[str, Any]:
    """One pair: the first concept behind its map, and by how much it is above chance."""
    said: dict[str, Any] = {"picture": picture, "sentence": facts["sentence"]}
    for one in facts["behind"][:1]:
        said |= {"unit": one["unit"], "nats": one["nats"], "nats by chance": one["chance"]}
        said |= {"above": one["excess"], "above low": one["low"], "above high": one["high"]}
    return said
