"""How the judges of `zoo:vq` are trained: on pixels and names alone."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from legenda.train.loop import Report, Schedule, fit
from legenda.types import Images
from legenda.zoo.photos.mobilenet import WIDTH
from legenda.zoo.vq.data import CONCEPTS, Batches, Pictures, close_ups, mixed, photographs
from legenda.zoo.vq.judges import SmallCNN, enlarged

SHIFT = 3
"""Pictures are moved by up to so many pixels."""
FIRST_SEED = 7
"""Close-ups that no other part of the model was trained on."""
EACH = 12_000
"""Pictures of each kind that the head of MobileNetV2 is trained on."""


def train_small(
    out: Path,
    images: int = 384_000,
    batch: int = 96,
    seed: int = FIRST_SEED,
    workers: int = 1,
    cache: Path | None = None,
    report: Report | None = None,
) -> SmallCNN:
    """Train the small judge on `images` pictures, moved and turned around by chance; resumable."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network, steps = SmallCNN(), images // batch
    with ProcessPoolExecutor(workers) as pool:
        batches = Batches(photographs("training", cache), batch, seed, steps, pool)
        schedule = Schedule(steps, lr=3e-3, warmup=min(200, steps), decay=0.6, half=True)
        path = out / "judge.checkpoint.safetensors"
        fit(network.train(), told(network, batches, seed), schedule, path, 250, report)
    save_file({k: v.half() for k, v in network.state_dict().items()}, out / "judge.safetensors")
    return network.eval()


def told(
    network: nn.Module, batches: Callable[[int], Pictures], seed: int
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """Cross-entropy of a step; chance in it comes from its number."""

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        made = batches(step)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1_000_003 + step)
            logits = network(moved(made.pixels())).float()
        right = (logits.argmax(1) == made.labels).float().mean()
        return cross_entropy(logits, made.labels, label_smoothing=0.05), {"right": float(right)}

    return loss


def moved(x: Images) -> Images:
    """All pictures of a batch, moved together; edges are mirrored."""
    down, right = torch.randint(2 * SHIFT + 1, (2,)).tolist()
    h, w = x.shape[2:]
    return pad(x, (SHIFT,) * 4, mode="reflect")[:, :, down : down + h, right : right + w]


def train_head(
    out: Path, cache: Path | None = None, each: int = EACH, report: Report | None = None
) -> nn.Linear:
    """Train the head of the second judge on features that are computed once."""
    path = out / "features.safetensors"
    if not path.exists():
        photos = photographs("training", cache)
        lot = torch.Generator().manual_seed(FIRST_SEED)
        some = photos.some(torch.randperm(len(photos), generator=lot)[:each])
        whole = mixed(some, close_ups("training", each, start=-10_000_000))
        save_file({"features": features_of(whole, cache, report), "labels": whole.labels}, path)
    kept = load_file(path)
    features, labels = kept["features"].float(), kept["labels"]
    torch.manual_seed(FIRST_SEED)
    head = nn.Linear(WIDTH, len(CONCEPTS))

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        lot = torch.Generator().manual_seed(step)
        rows = torch.randint(len(labels), (1024,), generator=lot)
        return cross_entropy(head(features[rows]), labels[rows]), {}

    fit(head, loss, Schedule(1500, lr=2e-3, warmup=50, decay=0.7, weight_decay=1.0))
    save_file({k: v.half() for k, v in head.state_dict().items()}, out / "head.safetensors")
    return head


@torch.no_grad()
def features_of(pictures: Pictures, cache: Path | None, report: Report | None) -> Tensor:
    """What MobileNetV2 makes of pictures, in half precision."""
    body, found = enlarged(cache), []
    for step, rows in enumerate(torch.arange(len(pictures)).split(128)):
        with torch.autocast("cpu", torch.bfloat16):
            found.append(body(pictures.pixels(rows)).half())
        if report:
            report(step, {})
    return torch.cat(found)
