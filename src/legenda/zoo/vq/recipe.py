"""How `zoo:vq` is trained: an autoencoder with a codebook, then all that reads its tokens.

The autoencoder writes a picture x as the entries nearest to its latents z, and paints it back:

    L = 2 ‖x - x̂‖² + ⅕ |x - x̂| + ‖sg(z) - c‖² + ¼ ‖z - sg(c)‖²           (1)

each averaged over what it sums; the gradient of the decoder passes the quantiser as if it were
not there. Entries that no latent has chosen for a while are put where a latent of the batch is,
until seven tenths of the steps. Half of each batch are photographs, turned around by chance;
half are close-ups, never twice the same. The prior then learns which tokens go together, the
concept models what they show; the judges learn from pixels alone (`judge_recipe.py`).

References
----------
Van den Oord, Vinyals, Kavukcuoglu. Neural discrete representation learning. NeurIPS 2017. (1).
Zeghidour, Luebs, Omran, Skoglund, Tagliasacchi. SoundStream: an end-to-end neural audio codec.
TASLP 2022. Dead entries are replaced by inputs of the batch.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from legenda.concepts.bottleneck import Bottlenecked
from legenda.concepts.extractors import SMALL, Extractor
from legenda.concepts.storage import save_concepts
from legenda.concepts.token_set import LEAST, TokenSet
from legenda.concepts.training import SCHEDULE, train_concepts
from legenda.core.codebook import Codebook
from legenda.errors import BadInput
from legenda.models.prior import PriorNetwork, hidden
from legenda.models.vq import VQ, laid
from legenda.train.loop import Report, Schedule, fit
from legenda.zoo.photos.fetch import home
from legenda.zoo.vq.data import (
    CONCEPTS,
    Batches,
    Part,
    Pictures,
    close_ups,
    mixed,
    photographs,
)
from legenda.zoo.vq.judge_recipe import train_head, train_small
from legenda.zoo.vq.network import VQNetwork
from legenda.zoo.vq.shipped import open_vq

EXTRACTORS: dict[str, Extractor] = {
    "cnn": SMALL["cnn"],
    "bottleneck": Bottlenecked(SMALL["cnn"], beta=0.1),
}
"""The concept models that ship."""
LEARN = replace(SCHEDULE, half=True, decay=0.6)
EVERY = 250
"""Steps between checkpoints."""
REVIVE, UNTIL = 50, 0.7
"""Dead entries are replaced after so many steps, in this first share of them."""
EACH: tuple[Part, ...] = ("training", "validation", "test")
ANY_CLASS = 0.1
"""Share of images whose class is not told to the prior."""


def train(
    out: Path,
    images: int = 320_000,
    batch: int = 64,
    seed: int = 0,
    workers: int = 1,
    prior_images: int = 192_000,
    epochs: int = 3,
    judge_images: int = 384_000,
    cache: Path | None = None,
    report: Report | None = None,
) -> None:
    """Train everything of `zoo:vq`, one after the other; resumable.

    Parameters
    ----------
    images, prior_images, judge_images: how many pictures autoencoder, prior and small judge see;
        more is better, and slower.
    epochs: passes of the concept models over their token grids.
    batch: pictures per step, half of each kind.
    seed: of the weights and the pictures.
    workers: processes that paint close-ups.
    """
    if batch < 2 or min(images, prior_images) < batch or workers < 1 or seed < 0:
        raise BadInput(
            f"training needs a batch of two or more, at least one batch of pictures, a worker "
            f"and a seed of 0 or more; it got images={images}, prior_images={prior_images}, "
            f"batch={batch}, workers={workers}, seed={seed}."
        )
    photos = photographs("training", cache)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    network = VQNetwork()
    with ProcessPoolExecutor(workers) as pool:
        batches = Batches(photos, batch, seed, images // batch, pool)
        autoencode(network, batches, images // batch, out / "checkpoint.safetensors", report)
        save_file({k: v.half() for k, v in network.state_dict().items()}, out / "vq.safetensors")
        shipped = open_vq(folder=out)
        sets = {part: token_set(shipped, part, out, cache, pool) for part in EACH}
    prior = train_prior(sets["training"], prior_images // batch, batch, seed, out, report)
    save_file({k: v.half() for k, v in prior.state_dict().items()}, out / "prior.safetensors")
    for name, extractor in EXTRACTORS.items():
        model = train_concepts(
            extractor, shipped.codebook, sets["training"], sets["validation"], epochs=epochs,
            batch=96, schedule=LEARN, seed=seed, folder=out / f"run-{name}", report=report,
        )  # fmt: skip
        save_concepts(model, extractor, out / f"concepts-{name}", half=True)
    train_small(out, judge_images, workers=workers, cache=cache, report=report)
    if (home(cache) / "mobilenet_v2.pth").exists():
        train_head(out, cache, report=report)


def autoencode(
    network: VQNetwork,
    batches: Callable[[int], Pictures],
    steps: int,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> None:
    """Train an autoencoder by equation (1), in place."""
    book = network.codebook

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        x = batches(step).pixels()
        z = laid(network.encode(x)).float()
        if step == 0 or (step % REVIVE == 0 and step < UNTIL * steps):
            revive(network, z.detach(), step)
        with torch.no_grad():
            index = Codebook(book).nearest(z)[0]
            network.used.index_add_(0, index.flatten(), torch.ones_like(index.flatten()))
        entry = book[index]
        through = (z + (entry - z).detach()).mT.unflatten(2, (x.shape[2] // 2, x.shape[3] // 2))
        painted = network.decode(through).float()
        error = mse_loss(painted, x)
        code = mse_loss(entry, z.detach()) + 0.25 * mse_loss(z, entry.detach())  # (1)
        decibel = float(10 * torch.log10(4 / error.detach()))
        return 2 * error + 0.2 * l1_loss(painted, x) + code, {"psnr": decibel}

    schedule = Schedule(
        steps, lr=2e-3, warmup=min(100, steps), decay=0.3, weight_decay=0.01, half=True
    )
    fit(network.train(), loss, schedule, checkpoint, EVERY, report)
    network.eval()


@torch.no_grad()
def revive(network: VQNetwork, z: Tensor, step: int) -> None:
    """Put entries that nothing has chosen since the last time where latents of this batch are."""
    lot = torch.Generator().manual_seed(step)
    latents = z.flatten(0, 1)
    dead = (network.used == 0).nonzero()[:, 0]
    rows = torch.randint(len(latents), (len(dead),), generator=lot)
    network.codebook[dead] = latents[rows]
    network.used.zero_()


def token_set(
    vq: VQ, part: Part, out: Path, cache: Path | None = None, pool: Executor | None = None
) -> TokenSet:
    """The tokens of all photographs of a part and of as many close-ups; kept on disk."""
    path = out / f"{part}.tokens.safetensors"
    if not path.exists():
        photos = photographs(part, cache)
        start = -len(photos) if part == "training" else 0
        whole = mixed(photos, close_ups(part, len(photos), start, pool))
        rows = torch.arange(len(whole)).split(256)
        tokens = torch.cat([vq.tokens(whole.pixels(r)) for r in rows])
        made = TokenSet.of(tokens, whole.labels, CONCEPTS, vq.grid, len(vq.codebook), LEAST)
        made.save(path)
    return TokenSet.load(path)


def train_prior(
    training: TokenSet,
    steps: int,
    batch: int,
    seed: int,
    out: Path,
    report: Report | None,
) -> PriorNetwork:
    """Train the masked prior; the class is hidden from a tenth of the images."""
    torch.manual_seed(seed)
    prior = PriorNetwork(training.entries, len(training.concepts), training.grid)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        lot = torch.Generator().manual_seed(seed * 1_000_003 + step)
        rows = torch.randint(len(training), (batch,), generator=lot)
        true, kinds = training.batch(rows)
        kinds[torch.rand(batch, generator=lot) < ANY_CLASS] = len(CONCEPTS)
        gone = hidden(true, lot)
        logits = prior(true.masked_fill(gone, prior.entries), kinds)
        value = cross_entropy(logits[gone].float(), true[gone])
        return value, {"nats per token": float(value.detach())}

    schedule = Schedule(steps, lr=1e-3, warmup=min(300, steps), decay=0.3, half=True)
    fit(prior.train(), loss, schedule, out / "prior.checkpoint.safetensors", EVERY, report)
    return prior.eval()
