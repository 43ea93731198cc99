"""An agreement made by hand, so that drawings are tested without a model."""

import math
from typing import Any

import torch
from PIL import Image

from legenda.agreement import Agreement, Match, Read
from legenda.core.evidence import Attribution
from legenda.core.explanation import Score

METHOD = (
    "InformationBottleneck(beta=1.0, steps=10, lr=1.0, draws=6, antithetic=True, per='token', "
    "special='block', start=5.0, adaptive=False, tolerance=0.0, stale=False, seed=0, batch=128)"
)


def made(
    sentence: str = "a red house on sand",
    size: tuple[int, int] = (60, 40),
    flagged: bool = False,
    signed: bool = False,
    source: str = "pictures/a house.png",
    **changes: Any,
) -> Agreement:
    """A pair with a map of 4 × 4 over the middle square of a picture."""
    w, h = size
    grid = torch.arange(16.0) / 4 - (2 if signed else 0)
    half = (w - h) / 2
    map_ = torch.full((h, w), math.nan)
    map_[:, int(half) : int(w - half)] = 1.0
    picture = Image.effect_noise(size, 60).convert("RGB")
    words = sentence.split()
    given: dict[str, Any] = {
        "picture": picture,
        "source": source,
        "sentence": sentence,
        "image": Attribution(
            torch.zeros(1, 3, 8, 8), grid[None], torch.ones(1, 16, dtype=torch.bool), (4, 4), "nats"
        ),
        "text": Attribution(
            torch.zeros(1, 9).long(), torch.ones(1, 9), torch.ones(1, 9) > 0, None, "nats"
        ),
        "words": tuple(Read(word, 0.5 * i, (i,)) for i, word in enumerate(words)),
        "map": map_,
        "figures": {
            "cosine": 0.41, "image clean": 0.41, "image bottlenecked": 0.38, "image blocked": 0.02,
            "image kept": 0.06, "image total": 30.0, "text clean": math.nan,
        },
        "match": Match(-1.0 if flagged else 4.0, 1.2, 128, "128 drawn scenes"),
        "scores": (
            Score("deletion", 0.1, (math.nan, math.nan), 1, False, 0.2, (0.18, 0.22), "cosine"),
            Score("insertion", 0.4, (0.3, 0.5), 9, True),
        ),
        "settings": {
            "model": "zoo:scenes", "method": METHOD, "legenda": "0.1.0",
            "image site": "zoo:scenes/image@1", "text site": "zoo:scenes/text@2",
        },
        "seconds": 0.5,
        "frame": (half, 0.0, w - half, float(h)),
    }  # fmt: skip
    return Agreement(**(given | changes))
