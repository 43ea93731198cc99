"""`zoo:photos`, opened as a dual encoder: two frozen networks from the cache, our heads."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from legenda.corpus.reference import Reference, reference_of
from legenda.corpus.view_box import Preprocess
from legenda.models.dual import Dual
from legenda.models.hub import check
from legenda.models.loading import Site
from legenda.models.module import ModuleModel
from legenda.models.towers import Anatomy, Tower
from legenda.models.words import Words

from .fetch import home
from .picture import opened, plain
from .towers import load

SITE: Site = {"image": "features.13", "text": 3}
BETA = {"image": 0.3, "text": 0.1}
"""Chosen on collages of validation families, which are neither training nor test families."""
GAMMA = 0.6
"""On 100 such collages, .71 of the patches of stamps match theirs best of those in the picture
(chance .35), and .35 of all 40; at 0.2 .68 and .33, without sharing .71 and .32."""
REFERENCE = Path(__file__).with_name("reference.safetensors")
REFERENCE_COUNT = 256
LONGEST = 128


def open_dual(site: Site | None = None, cache: Path | None = None) -> Dual:
    """Open the model; `Missing` says how to fetch the frozen networks where they are not here."""
    image, text, tokenizer, pixels = load(cache)
    at = {**SITE, **(site or {})}
    words = Words(tokenizer, LONGEST, model="zoo:photos")
    side = int(pixels["size"])
    preprocess = Preprocess((side, side), "shortest", True, pixels["mean"], pixels["std"])
    seeing = ModuleModel(
        image,
        str(at["image"]),
        name="photos/image",
        ref=f"zoo:photos/image@{at['image']}",
        example=torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)),
    )
    reading = Tower(
        text,
        Anatomy("bert.embeddings", "bert.encoder.layer"),
        at["text"],
        partial(read, words),
        words.marks,
        None,
        name="photos/text",
        ref="zoo:photos/text",
    )
    count = sum(p.numel() for tower in (image, text) for p in tower.parameters())
    about = {
        "kind": f"frozen MobileNetV2 and MiniLM, trained heads, {count / 1e6:.1f} M parameters",
        "sites": "image=features.2…features.18, text=embeddings, 0…5",
        "trained on": "emoji, stamps and clip art with their titles (heads only)",
    }
    reference = Reference.load(REFERENCE) if REFERENCE.exists() else None
    dual = Dual(
        seeing, reading, preprocess, words, "photos", "zoo:photos", about, reference, BETA, GAMMA
    )  # fmt: skip
    check(dual)
    return dual


def read(words: Words, root: nn.Module, ids: Tensor) -> Tensor:
    """Sentence embeddings: padding is neither looked at nor averaged."""
    return root(ids, words.valid(ids).long())


def write_reference(cache: Path | None = None, path: Path = REFERENCE) -> Reference:
    """Survey training pairs at the default sites, and write the result beside the heads.

    Training pairs may serve: a reference says what acts and cosines of swapped pairs look
    like, and is no measure of quality. Pictures of the test families are never in it.
    """
    from .recipe import prepare

    dual = replace(open_dual(cache=cache), reference=None)
    pairs = [p for p in prepare(cache)[1] if p.split == "train"]
    lot = np.random.default_rng(0).permutation(len(pairs))[:REFERENCE_COUNT]
    chosen = [pairs[i] for i in lot]
    pictures = [plain(opened(home(cache) / "pairs" / p.picture)) for p in chosen]
    source = f"{len(chosen)} training pictures and titles of zoo:photos"
    found = reference_of(dual, pictures, [p.caption for p in chosen], source)
    found.save(path)
    return found
