"""How good `zoo:vq` is on pictures it never saw: `make truth ROW=vq-model`.

Reconstruction and use of the codebook, the concept models, the judges, and the prior: nats per
token where half the tokens are hidden, and how often both judges see in a painted picture the
class that was asked for.
"""

from collections.abc import Iterator
from math import log
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from legenda.concepts.token_set import TokenSet
from legenda.concepts.training import measured
from legenda.core.interval import bootstrap, wilson
from legenda.errors import Missing
from legenda.models.prior import TokenPrior
from legenda.models.vq import VQ
from legenda.zoo.vq.data import CONCEPTS, PHOTOGRAPHS, Pictures, close_ups, photographs
from legenda.zoo.vq.judges import judges
from legenda.zoo.vq.shipped import concept_model, open_vq

SEED = 5_000_000
MODELS = ("cnn", "bottleneck")


def measure() -> Measurement:
    """Rows about the model, for test photographs where they are fetched, and test close-ups."""
    vq, seen, rows, notes = open_vq(), judges(), [], []
    for kind in ("photographs", "close-ups"):
        try:
            pictures = test(kind)
        except Missing as error:
            notes.append(f"{kind} left out: {error}")
            continue
        tokens = torch.cat(
            [vq.tokens(pictures.pixels(part)) for part in torch.arange(len(pictures)).split(256)]
        )  # noqa: E501
        rows += [*autoencoder(vq, kind, pictures, tokens), *models(vq, kind, pictures, tokens)]
        rows += [
            row
            for name, judge in seen.items()
            for row in judged(vq, kind, name, judge, pictures, tokens)
        ]  # noqa: E501
        if vq.prior is not None:
            rows.append(likelihood(vq.prior, kind, tokens, pictures.labels))
    if vq.prior is not None:
        rows += painted(vq, vq.prior, seen)
    return Measurement("vq-model", rows, [SEED], tuple(notes))


def test(kind: str) -> Pictures:
    """Test pictures of a kind."""
    count = 400 if quick() else 10_000
    if kind == "close-ups":
        return close_ups("test", count)
    return photographs("test").some(torch.arange(count))


def autoencoder(vq: VQ, kind: str, pictures: Pictures, tokens: Tensor) -> list[Row]:
    """PSNR, perplexity and the share of entries that are used."""
    decibel = torch.cat([psnr(vq, x, t) for x, t in batches(pictures, tokens)])
    counts = torch.bincount(tokens.flatten(), minlength=len(vq.codebook)).double()
    share = counts / counts.sum()
    perplexity = float((-(share * share.clamp(min=1e-12).log()).sum()).exp())
    used = int((counts > 0).sum())
    return [
        Row(f"{kind}: reconstruction", float(decibel.mean()), "dB", "", None, len(decibel), bootstrap(decibel)),
        Row(f"{kind}: perplexity of the tokens", perplexity, f"of {len(vq.codebook)}", "", None, tokens.numel()),
        Row(f"{kind}: entries used", used / len(counts), "share", "codebook ≥256 used ≥90 %", used >= 0.9 * len(counts) and len(counts) >= 256, len(counts)),
    ]  # fmt: skip # noqa: E501


def psnr(vq: VQ, x: Tensor, tokens: Tensor) -> Tensor:
    """Peak signal to noise of each picture, in decibels; pixels go from -1 to 1."""
    with torch.no_grad():
        error = (vq.decode(vq.embed(tokens)).clamp(-1, 1) - x).square().mean((1, 2, 3))
    return 10 * torch.log10(4 / error.clamp(min=1e-9)).double()


def batches(pictures: Pictures, tokens: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels and tokens, some at a time."""
    for rows in torch.arange(len(pictures)).split(256):
        yield pictures.pixels(rows), tokens[rows]


def models(vq: VQ, kind: str, pictures: Pictures, tokens: Tensor) -> list[Row]:
    """How often the concept models name the right one of 22 concepts."""
    found = TokenSet.of(tokens, pictures.labels, CONCEPTS, vq.grid, len(vq.codebook), least=0)
    return [
        Row(f"{kind}: concept model {name}, {s.name}", s.value, "share", "", None, s.n, s.interval, s.control)
        for name in MODELS
        for s in measured(concept_model(vq, name), found)
    ]  # fmt: skip # noqa: E501


@torch.no_grad()
def judged(
    vq: VQ, kind: str, name: str, judge: Any, pictures: Pictures, tokens: Tensor
) -> list[Row]:  # noqa: E501
    """How often a judge is right, on the pictures and on what their tokens say."""
    right = {"pictures": 0, "reconstructions": 0}
    most = 400 if quick() else 2000
    some = pictures.some(torch.arange(most))
    for rows, (x, t) in zip(torch.arange(most).split(256), batches(some, tokens), strict=True):
        for what, seen in (("pictures", x), ("reconstructions", vq.decode(vq.embed(t)))):
            right[what] += int((judge(seen).argmax(1) == some.labels[rows]).sum())
    chance = 1 / len(CONCEPTS)
    return [
        Row(f"{kind}: judge {name} right on {what}", n / most, "share", "", None, most, wilson(n, most), chance)
        for what, n in right.items()
    ]  # fmt: skip # noqa: E501


@torch.no_grad()
def likelihood(prior: TokenPrior, kind: str, tokens: Tensor, labels: Tensor) -> Row:
    """Nats of a hidden token, half of the tokens being hidden, the class told; control: uniform."""
    lot, values = torch.Generator().manual_seed(0), []
    for rows in torch.arange(200 if quick() else 2000).split(128):
        true = tokens[rows]
        gone = torch.rand(true.shape, generator=lot) < 0.5
        logits = prior.network(true.masked_fill(gone, prior.network.entries), labels[rows])
        nats = -logits.log_softmax(2).gather(2, true[..., None])[..., 0]
        values.append((nats * gone).sum(1) / gone.sum(1).clamp(min=1))
    each = torch.cat(values).double()
    uniform = log(prior.network.entries)
    return Row(f"{kind}: prior, half of the tokens hidden", float(each.mean()), "nats per token", "", None, len(each), bootstrap(each), uniform)  # fmt: skip # noqa: E501


@torch.no_grad()
def painted(vq: VQ, prior: TokenPrior, seen: dict[str, Any]) -> list[Row]:
    """Painted pictures, class by class: does a judge see what was asked for?"""
    each = 2 if quick() else 20
    wanted = [name for name in CONCEPTS for _ in range(each)]
    images = vq.decode(vq.embed(prior.paint(wanted)))
    labels = torch.tensor([CONCEPTS.index(name) for name in wanted])
    photo = labels < len(PHOTOGRAPHS)
    rows = []
    for name, judge in seen.items():
        right = judge(images).argmax(1) == labels
        for kind, some in (("photographs", photo), ("close-ups", ~photo)):
            n, k = int(some.sum()), int(right[some].sum())
            rows.append(Row(f"painted {kind}: judge {name} sees what was asked for", k / n, "share", "", None, n, wilson(k, n), 1 / len(CONCEPTS)))  # fmt: skip # noqa: E501
    return rows
