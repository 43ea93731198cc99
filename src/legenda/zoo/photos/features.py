"""Frozen features of every training pair, computed once and kept in the cache.

Of an image we keep the 320 channels before MobileNetV2's last convolution, at 7x7 of the 14x14
places (one of the four interleaved grids, by chance), for one plain view and several varied ones;
of a caption MiniLM's mean over tokens, for several wordings. Chunks are written whole, so an
interrupted run goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from .mobilenet import MobileNetV2
from .pairs import Pair
from .picture import SIZE, opened, plain, varied
from .towers import GRID, LONGEST, MEAN, STD, averaged, minilm

Progress = Callable[[str, int, int], None]
CHUNK = 64
VIEWS = 9
VERSION = "1"


def pixels(pictures: Sequence[Image.Image]) -> Tensor:
    """RGB pictures of one size as normalised `b 3 h w`."""
    stacked = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    scaled = stacked.permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def image_features(
    pairs: Sequence[Pair],
    folder: Path,
    store: Path,
    network: MobileNetV2,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Features `pair view place channel` in float16, and the picture's share of each place.

    `network` has an output stride of 16; `store` is where chunks are kept.
    """
    kept = store / _digest([VERSION, VIEWS, seed, *(pair.picture for pair in pairs)])
    kept.mkdir(parents=True, exist_ok=True)
    chunks = []
    for start in range(0, len(pairs), CHUNK):
        path = kept / f"{start:05d}.safetensors"
        if not path.is_file():
            made = [
                _one(folder / pair.picture, network, np.random.default_rng((seed, start + i)))
                for i, pair in enumerate(pairs[start : start + CHUNK])
            ]
            features, inside = (torch.stack(part) for part in zip(*made, strict=True))
            save_file({"features": features, "inside": inside}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        chunks.append(load_file(path))
        if progress:
            progress("image features", min(start + CHUNK, len(pairs)), len(pairs))
    return (
        torch.cat([chunk["features"] for chunk in chunks]),
        torch.cat([chunk["inside"] for chunk in chunks]),
    )


@torch.inference_mode()
def _one(path: Path, network: MobileNetV2, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """All views of one picture: the plain one first."""
    picture = opened(path)
    views = [varied(picture, generator) for _ in range(VIEWS - 1)]
    images = [plain(picture), *(view for view, _ in views)]
    opacity = [np.ones((SIZE, SIZE), np.float32), *(inside for _, inside in views)]
    batch = pixels(images).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        maps = network.features[:-1](batch)
    inside = adaptive_avg_pool2d(torch.from_numpy(np.stack(opacity))[:, None], GRID)
    down, right = (int(part) for part in generator.integers(0, 2, 2))
    return (
        maps[:, :, down::2, right::2].flatten(2).mT.half().contiguous(),
        inside[:, 0, down::2, right::2].flatten(1).half().contiguous(),
    )


def widened(features: Tensor, last: nn.Module) -> Tensor:
    """The 320 kept channels through MobileNetV2's last convolution: `b n 320` to `b n 1280`."""
    return last(features.mT[..., None].float()).flatten(2).mT


def wordings(pair: Pair, generator: np.random.Generator) -> list[str]:
    """Five ways to caption a pair; the first is the one that is measured."""
    words = list(generator.permutation(pair.keywords)) if pair.keywords else []
    return [
        pair.caption,
        pair.title,
        f"a photo of {pair.title}",
        ", ".join([pair.title, *words[:2]]),
        f"{words[0]}, {pair.title}" if words else f"a picture of {pair.title}",
    ]


def text_features(
    wordings: Sequence[Sequence[str]], store: Path, cache: Path | None, progress: Progress | None
) -> Tensor:
    """MiniLM's averaged tokens of every wording of every pair, `pair wording 384`; kept."""
    texts = [text for several in wordings for text in several]
    path = store / f"texts-{_digest([VERSION, *texts])}.safetensors"
    if not path.is_file():
        encoder, tokenizer = minilm(cache)
        rows = []
        for start in range(0, len(texts), CHUNK):
            rows.append(_encoded(texts[start : start + CHUNK], encoder, tokenizer))
            if progress:
                progress("caption features", min(start + CHUNK, len(texts)), len(texts))
        save_file({"texts": torch.cat(rows)}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return load_file(path)["texts"].unflatten(0, (len(wordings), -1)).float()


@torch.inference_mode()
def _encoded(texts: Sequence[str], encoder: nn.Module, tokenizer: Any) -> Tensor:
    tokens = tokenizer(
        list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
    )
    with torch.autocast("cpu", torch.bfloat16):
        states = encoder(**tokens).last_hidden_state
    return averaged(states.float(), tokens["attention_mask"])


def _digest(parts: Sequence[object]) -> str:
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]
