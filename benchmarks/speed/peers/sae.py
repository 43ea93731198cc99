"""Sparse autoencoders of other libraries, in an interpreter of their own; legenda is not there.

`python sae.py overcomplete|dictionary_learning FOLDER` reads commands line by line: `steps N`
trains N steps and answers with the seconds they took, and those of the processor, `fvu` answers with the FVU of rows that were
held out. Both libraries are used as they are; torchvision and matplotlib get what they miss.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Train = Callable[[Tensor], None]
Rebuild = Callable[[Tensor], Tensor]


def shimmed() -> torch.library.Library:
    """Torchvision without compiled operators, matplotlib without an old function."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    matplotlib: Any = import_module("matplotlib")
    maps: Any = import_module("matplotlib.cm")
    if not hasattr(maps, "get_cmap"):
        maps.get_cmap = lambda name=None, lut=None: matplotlib.colormaps[name or "viridis"]
    return library


def overcomplete(about: dict[str, Any], start: Tensor, rows: Tensor) -> tuple[Train, Rebuild]:
    """TopKSAE and train_sae, its encoder beginning as a copy of its atoms."""
    sae: Any = import_module("overcomplete.sae")
    model = sae.TopKSAE(about["width"], nb_concepts=about["units"], top_k=about["k"], device="cpu")
    with torch.no_grad():
        model.dictionary._weights.copy_(start)
        linear = next(m for m in model.encoder.modules() if isinstance(m, torch.nn.Linear))
        linear.weight.copy_(start)
        linear.bias.zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=about["lr"])

    def criterion(x: Tensor, x_hat: Tensor, *_: Tensor) -> Tensor:
        return (x - x_hat).square().mean()

    def train(x: Tensor) -> None:
        sae.train_sae(model, [x], criterion, optimizer, nb_epochs=1, clip_grad=1.0, monitoring=0)

    def rebuild(x: Tensor) -> Tensor:
        model.train(False)
        return model(x)[2]

    return train, rebuild


def dictionary_learning(
    about: dict[str, Any], start: Tensor, rows: Tensor
) -> tuple[Train, Rebuild]:
    """BatchTopKTrainer; it sets its bias to the median in its first step, which is not timed."""
    module: Any = import_module("dictionary_learning.trainers.batch_top_k")
    trainer = module.BatchTopKTrainer(
        steps=100_000, activation_dim=about["width"], dict_size=about["units"], k=about["k"],
        layer=0, lm_name="none", lr=about["lr"], warmup_steps=1, seed=0, device="cpu",
    )  # fmt: skip
    trainer.dead_feature_threshold = about["after"]
    with torch.no_grad():
        trainer.ae.b_dec.data = trainer.geometric_median(rows)
        trainer.ae.decoder.weight.copy_(start.T)
        trainer.ae.encoder.weight.copy_(start)
    count = 0

    def train(x: Tensor) -> None:
        nonlocal count
        count += 1
        trainer.update(count, x)

    def rebuild(x: Tensor) -> Tensor:
        return trainer.ae.decode(trainer.ae.encode(x, use_threshold=False))

    return train, rebuild


def main(library: str, folder: str) -> None:
    """Obey line by line."""
    kept = shimmed()
    about = json.loads((Path(folder) / "about.json").read_text())
    batches = torch.from_numpy(np.load(Path(folder) / "rows.npy"))
    held = torch.from_numpy(np.load(Path(folder) / "held.npy"))
    start = torch.from_numpy(np.load(Path(folder) / "start.npy"))
    makers = {"overcomplete": overcomplete, "dictionary_learning": dictionary_learning}
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    train, rebuild = makers[library](about, start, batches[0])
    out.write(json.dumps({"ready": bool(kept)}) + "\n")
    out.flush()
    done = 0
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "steps":
            began, busy = time.perf_counter(), time.process_time()
            for _ in range(int(rest[0])):
                train(batches[done % len(batches)])
                done += 1
            answer = {
                "seconds": time.perf_counter() - began,
                "processor": time.process_time() - busy,
            }
        else:
            with torch.no_grad():
                left = (held - rebuild(held)).square().sum()
            answer = {"fvu": float(left / (held - held.mean(0)).square().sum())}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
