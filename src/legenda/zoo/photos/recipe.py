"""Train the heads of `zoo:photos` on frozen features, and measure them on held-out families.

Each step draws families without repetition, one pair of each, a view and a wording, and asks that
every image find its caption among the batch and every caption its image,

    L(a, b) = CE(s cos(a, b)) + CE(s cos(b, a)),        L = L(z, t) + dense L(o, t),           (1)

where z is the pooled image over a chance subset of its places, and o the plain mean over the places
that the picture covers: a patch of the object is to say by itself what the object is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from legenda.train.loop import Schedule, fit

from . import features as frozen
from .fetch import fetch, fetch_pairs, home
from .figures import held_out_entries, write
from .measure import Encoder, Measure, cifar10, retrievals
from .pairs import Pair, gallery, listed, split
from .towers import HEADS, HELD_OUT, WIDTH, Pool, load, mobilenet, word_head

Progress = Callable[[str, int, int], None]
SAVED_EVERY = 100


@dataclass(frozen=True)
class Settings:
    """What training chose on the validation families.

    Parameters
    ----------
    batch: families per step; more makes the task harder.
    plain: share of plain views, the form that is measured; more adapts to it, and to it alone.
    places: places of a view seen in one step, of 49; fewer regularises more.
    dropout: share of hidden units silenced, in both heads.
    dense: weight of the loss on object patches; more aligns single patches better.
    noise: standard deviation of noise on the caption features, which have unit variance.
    """

    batch: int = 512
    plain: float = 0.3
    places: int = 12
    dropout: float = 0.5
    dense: float = 0.5
    noise: float = 1.0
    schedule: Schedule = Schedule(
        steps=800, lr=1e-3, warmup=50, decay=0.6, weight_decay=0.2, half=True
    )


@dataclass(frozen=True)
class Data:
    """Frozen features: images `i v n c` and their cover `i v n`, captions `i w d`.

    `last` is MobileNetV2's last convolution, which widens what was kept of the images, and
    `classifier` the layer that follows it.
    """

    images: Tensor
    cover: Tensor
    texts: Tensor
    last: nn.Module
    classifier: nn.Module

    def views(self, rows: Tensor, view: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """One view of each row at the chosen places, `b n 1280`, and its cover, `b n`."""
        chosen = self.images[rows, view][:, places]
        return frozen.widened(chosen, self.last), self.cover[rows, view][:, places].float()


class Heads(nn.Module):
    """Both heads and the sharpness of the comparison.

    The hidden layer of the image head begins as MobileNetV2's classifier, so that what ImageNet's
    thousand classes teach about kinds of things is there from the first step.
    """

    def __init__(self, dropout: float = 0.0, classifier: nn.Module | None = None):
        super().__init__()
        self.image = Pool(WIDTH, dropout)
        if classifier is not None:
            self.image.head.bent[0].load_state_dict(classifier.state_dict())
        self.text = word_head(dropout)
        self.sharpness = nn.Parameter(torch.tensor(2.7))


def agreement(images: Tensor, texts: Tensor, sharpness: Tensor) -> Tensor:
    """The symmetric loss of equation (1)."""
    scores = sharpness.exp() * normalize(images, dim=-1) @ normalize(texts, dim=-1).T
    own = torch.arange(len(scores))
    return cross_entropy(scores, own) + cross_entropy(scores.T, own)


def make_loss(
    heads: Heads, data: Data, pairs: Sequence[Pair], settings: Settings, seed: int
) -> Callable[[int], tuple[Tensor, dict[str, float]]]:
    """The loss of a step, everything random in it drawn from the seed and its number."""
    members: dict[int, list[int]] = {}
    for i, pair in enumerate(pairs):
        if pair.split == "train":
            members.setdefault(pair.family, []).append(i)
    groups = [np.array(group) for group in members.values()]

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        draw = np.random.default_rng((seed, step))
        torch.manual_seed(seed * 1_000_003 + step)
        chosen = draw.choice(len(groups), min(settings.batch, len(groups)), replace=False)
        rows = torch.tensor([int(draw.choice(groups[group])) for group in chosen])
        view = draw.integers(0, data.images.shape[1], len(rows))
        view = torch.from_numpy(np.where(draw.random(len(rows)) < settings.plain, 0, view))
        wording = torch.from_numpy(draw.integers(0, data.texts.shape[1], len(rows)))
        places = torch.from_numpy(draw.permutation(data.images.shape[2])[: settings.places])
        with torch.no_grad():
            seen, cover = data.views(rows, view, places)
            words = data.texts[rows, wording]
            words = words + settings.noise * torch.randn_like(words)
        embedded = heads.image.head(seen)
        pooled = torch.einsum("bn,bne->be", heads.image.weights(seen), embedded)
        covered = (cover + 1e-3) / (cover + 1e-3).sum(1, keepdim=True)
        objects = torch.einsum("bn,bne->be", covered.to(embedded.dtype), embedded)
        texts = heads.text(words)
        whole = agreement(pooled, texts, heads.sharpness)
        parts = agreement(objects, texts, heads.sharpness)
        return whole + settings.dense * parts, {"whole": float(whole.detach())}

    return loss


def prepare(
    cache: Path | None = None, seed: int = 0, progress: Progress | None = None
) -> tuple[Data, list[Pair]]:
    """Download, list and split the pairs, and compute or read their frozen features."""
    fetch(cache, progress)
    folder = fetch_pairs(cache, progress)
    words = (home(cache) / "minilm" / "vocab.txt").read_text("utf-8").split("\n")
    pairs = listed(folder, frozenset(words))
    network = mobilenet(cache)
    store = home(cache) / "features"
    images, cover = frozen.image_features(pairs, folder, store, network, seed, progress)
    last = network.features[-1]
    means = torch.cat([frozen.widened(part, last).mean(1) for part in images[:, 0].split(256)])
    pairs = split(pairs, means.numpy(), seed)
    draw = np.random.default_rng(seed)
    worded = [frozen.wordings(pair, draw) for pair in pairs]
    texts = frozen.text_features(worded, store, cache, progress)
    return Data(images, cover, texts, last, network.classifier[1]), pairs


@torch.inference_mode()
def validate(heads: Heads, data: Data, pairs: Sequence[Pair]) -> float:
    """Image-to-text recall at 5 on the validation gallery: what settings are chosen by."""
    rows = torch.tensor(gallery(pairs, "validation"))
    plain = torch.zeros_like(rows)
    seen, _ = data.views(rows, plain, torch.arange(data.images.shape[2]))
    heads.eval()
    images, texts = heads.image(seen), heads.text(data.texts[rows, 0])
    heads.train()
    scores = normalize(images, dim=-1) @ normalize(texts, dim=-1).T
    rank = (scores >= scores.diagonal()[:, None]).sum(1)
    return float((rank <= 5).float().mean())


def trained(
    data: Data,
    pairs: Sequence[Pair],
    settings: Settings,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Heads:
    """Heads after all steps; the global generator is left as it was."""

    def report(step: int, _: dict[str, float]) -> None:
        if progress:
            progress("heads", step + 1, settings.schedule.steps)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = Heads(settings.dropout, data.classifier).train()
        loss = make_loss(heads, data, pairs, settings, seed)
        fit(heads, loss, settings.schedule, checkpoint, every=SAVED_EVERY, report=report)
    return heads


def train(
    out: Path,
    seed: int = 0,
    settings: Settings | None = None,
    cache: Path | None = None,
    cifar: int = 10_000,
    progress: Progress | None = None,
) -> list[Measure]:
    """Make `heads.safetensors`, `held_out.json`, `card.md` and `measures.json` in `out`.

    Goes on from `out/checkpoint.safetensors` where it exists. `cifar` test pictures are classified.
    """
    settings = settings or Settings()
    out.mkdir(parents=True, exist_ok=True)
    data, pairs = prepare(cache, seed, progress)
    heads = trained(data, pairs, settings, seed, out / "checkpoint.safetensors", progress)
    recall = validate(heads, data, pairs)
    _save(heads, out / HEADS.name, seed, settings)
    (out / HELD_OUT.name).write_text(json.dumps(held_out_entries(pairs, seed), indent=1), "utf-8")
    measures = measure(out / HEADS.name, out / HELD_OUT.name, cache, cifar, progress)
    made = (
        f"Seed {seed}; `{settings}`. Recall at 5 on the validation gallery, by which settings were "
        f"chosen: {recall:.3f}."
    )
    write(out, measures, pairs, made)
    return measures


def measure(
    heads: Path = HEADS,
    held_out: Path = HELD_OUT,
    cache: Path | None = None,
    cifar: int = 10_000,
    progress: Progress | None = None,
) -> list[Measure]:
    """Retrieval among the held-out test pairs, and CIFAR-10, through the towers as they ship."""
    image, text, tokenizer, _ = load(cache, heads)
    encoder = Encoder(image, text, tokenizer)
    folder = home(cache) / "pairs"
    entries = json.loads(held_out.read_text("utf-8"))["test"]
    found = retrievals(encoder, folder, entries, progress)
    return [*found, cifar10(encoder, folder, cifar, progress)] if cifar else found


def _save(heads: Heads, path: Path, seed: int, settings: Settings) -> None:
    """The heads in half precision, written whole."""
    state = {n: v.half().contiguous() for n, v in heads.state_dict().items()}
    about = {"seed": str(seed), "settings": repr(settings)}
    save_file(state, path.with_suffix(".part"), about)
    path.with_suffix(".part").replace(path)
