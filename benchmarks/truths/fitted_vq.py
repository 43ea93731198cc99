"""A codebook fitted to an autoencoder that has none: `make truth ROW=fitted-vq`.

The autoencoder is that of `adain.py`; its weights are fetched by `FETCH=1 make truth
ROW=fitted-vq`. Pictures are three whole photographs and cut-out ones; each is measured with
entries that were fitted to the other half of them. Controls: cells of that other half drawn at
random, and normal noise of their mean and spread per channel.

References
----------
Efron. The jackknife, the bootstrap and other resampling plans. SIAM 1982. Interval of perplexity.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.table import Measurement, Row, quick
from benchmarks.truths.adain import AdaIN, autoencoder, fetch
from legenda.core.codebook import Codebook
from legenda.core.interval import Interval, bootstrap, wilson
from legenda.corpus.view_box import Preprocess
from legenda.errors import Missing
from legenda.models.fitted import Usage, quantised, usage
from legenda.models.vq import VQ, laid
from legenda.zoo.photos.fetch import home
from legenda.zoo.photos.picture import opened

PIXELS = Preprocess((256, 256), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
SEED = 9_000_000
CUT_OUTS = """
animals/birds/crowned_crane animals/birds/helmeted_guineafowl animals/insects/Brown_slug
animals/insects/Woodlouse animals/insects/mantis animals/mammals/aquatic/otter
animals/mammals/bears/european-bear animals/mammals/bovines/bull
animals/mammals/bovines/gnu-baby animals/mammals/bovines/gnu-stand
animals/mammals/bovines/indian_blackbuck food/fruit/Apricot_whole food/fruit/Strawberry2
food/fruit/avocado food/fruit/cherimoya food/fruit/kiwi food/fruit/orange_seville
food/spices/ginger plants/flowers/anemone_red plants/flowers/daffodil plants/trees/holm_oak
plants/trees/liberia-palm plants/trees/rambutan vehicles/construction/dumper
vehicles/emergency/firetruck vehicles/garbagetruck vehicles/wheel_tractor
household/tools/cementmixer seasonal/christmas/Roast_turkey
""".split()
"""Photographs among the stamps of Tux Paint that are 200 pixels or more a side."""


def photographs() -> dict[str, Image.Image]:
    """What legenda and scikit-learn ship."""
    from sklearn.datasets import load_sample_image

    with files("legenda.zoo").joinpath("pictures", "chelsea.jpg").open("rb") as file:
        found = {"chelsea": Image.open(file).convert("RGB")}
    return found | {n: Image.fromarray(load_sample_image(f"{n}.jpg")) for n in ("china", "flower")}


def cut_outs(cache: Path | None = None) -> dict[str, Image.Image]:
    """Stamps of Tux Paint that are photographs, cut to what they show."""
    place = home(cache) / "pairs" / "tuxpaint"
    lacks = [name for name in CUT_OUTS if not (place / f"{name}.png").is_file()]
    if lacks:
        raise Missing(
            f"fitted-vq needs {len(CUT_OUTS)} pictures of Tux Paint; {len(lacks)} are not in the "
            f"cache (for instance {lacks[0]}). Fetch them with `make data`."
        )
    return {name: opened(place / f"{name}.png") for name in CUT_OUTS}


@dataclass(frozen=True)
class Half:
    """What was found on one half of the pictures, with entries fitted to the other half.

    `decibel` is PSNR by way (b), and `seen` that of the other half, which was fitted to; by
    codebook, `each` is its usage on each picture and `used` on all of them.
    """

    decibel: dict[str, Tensor]
    seen: Tensor
    each: dict[str, list[Usage]]
    used: dict[str, Usage]


def measure() -> Measurement:
    """Both halves, put together by kind of picture."""
    if os.environ.get("FETCH", "") not in ("", "0"):
        fetch()
    few = quick()
    entries, drawn = (32, 5) if few else (256, len(CUT_OUTS))
    network, whole = autoencoder(), photographs()
    cut = dict(list(cut_outs().items())[:drawn])
    pictures = list((whole | cut).values())
    halves = [half(network, pictures[1 - i :: 2], pictures[i::2], entries) for i in (0, 1)]
    decibel = {way: together(*(h.decibel[way] for h in halves)) for way in halves[0].decibel}
    decibel["seen"] = together(halves[1].seen, halves[0].seen)
    kinds = {"cut-outs": slice(len(whole), None), "whole photographs": slice(0, len(whole))}
    rows = [row for kind, at in kinds.items() for row in by_kind(kind, decibel, at, entries)]
    rows += [row for name, h in zip("AB", halves, strict=True) for row in use(name, h, entries)]
    note = (
        f"pictures: {', '.join(whole)} (of legenda and scikit-learn), and {len(cut)} cut-out "
        "photographs of Tux Paint on white; each at 256 × 256, of 32 × 32 tokens. Half A is every "
        "second picture from the first on, half B the others."
    )
    said = (
        "Entries are fitted to latents, whose distortion they lower; what that is worth in pixels "
        "is up to a decoder that was never trained on them, and is said by the decibels."
    )
    return Measurement("fitted-vq", rows, [SEED], (note, said))


@torch.no_grad()
def half(
    network: AdaIN, others: list[Image.Image], own: list[Image.Image], entries: int
) -> Half:  # fmt: skip
    """Fit to the others, measure on one's own."""
    vq = quantised(
        network, lambda m, x: m.encoder(x), lambda m, z: m.decoder(z), PIXELS, others,
        entries=entries, seed=SEED, batch=4, ref="fitted-vq",
    )  # fmt: skip
    x, z = encoded(vq, own)
    fitted, cells = encoded(vq, others)
    lot, rows = torch.Generator().manual_seed(SEED), cells.flatten(0, 1)
    noise = torch.randn(entries, rows.shape[1], generator=lot) * rows.std(0) + rows.mean(0)
    chosen = rows[torch.randperm(len(rows), generator=lot)[:entries]]
    books = {"fitted": vq.codebook, "cells": Codebook(chosen), "noise": Codebook(noise)}
    decibel = {n: psnr(vq, x, book.embed(book.nearest(z)[0])) for n, book in books.items()}
    decibel["none"] = psnr(vq, x, z)
    seen = psnr(vq, fitted, vq.embed(vq.codebook.nearest(cells)[0]))
    each = {n: [usage(book, part) for part in z.split(1)] for n, book in books.items()}
    used = {n: usage(book, z) for n, book in books.items()}
    return Half(decibel, seen, each, used)


def encoded(vq: VQ, pictures: list[Image.Image]) -> tuple[Tensor, Tensor]:
    """Pixels, and latents that are not quantised."""
    x = vq.pixels(pictures)
    return x, torch.cat([laid(vq.encode(vq.root, part)) for part in x.split(4)])


def psnr(vq: VQ, x: Tensor, acts: Tensor) -> Tensor:
    """Peak signal to noise of each picture, in decibels."""
    error = [
        (vq.decode(act[None]).clamp(0, 1)[0] - p).square().mean()
        for act, p in zip(acts, x, strict=True)
    ]
    return -10 * torch.stack(error).double().log10()


def together(a: Tensor, b: Tensor) -> Tensor:
    """Two halves in the order of the whole: every second one from a, the others from b."""
    found = a.new_empty(len(a) + len(b))
    found[0::2], found[1::2] = a, b
    return found


def by_kind(kind: str, decibel: dict[str, Tensor], at: slice, entries: int) -> list[Row]:
    """PSNR of each way, and what fitting gains on each picture."""
    said = {
        "fitted": f"{entries} entries fitted to other pictures",
        "seen": f"{entries} entries fitted to these and others",
        "none": "without quantisation",
        "cells": f"{entries} cells of other pictures, at random",
        "noise": f"{entries} rows of noise",
    }
    seen = {way: values[at] for way, values in decibel.items()}
    control = {"fitted": float(seen["cells"].mean())}
    rows = [
        Row(f"{kind}: {words}", float(seen[way].mean()), "dB", "", None, len(seen[way]), bootstrap(seen[way]), control.get(way))
        for way, words in said.items()
    ]  # fmt: skip # noqa: E501
    gain = seen["fitted"] - seen["cells"]
    rows.append(Row(f"{kind}: fitted above random cells, picture by picture", float(gain.mean()), "dB", "", None, len(gain), bootstrap(gain)))  # fmt: skip # noqa: E501
    return rows


def use(name: str, found: Half, entries: int) -> list[Row]:
    """How the tokens of one half are spread over the entries; control: random cells."""
    own, chance, each = found.used["fitted"], found.used["cells"], found.each["fitted"]
    counts, at = torch.stack([picture.counts for picture in each]), f"half {name}"
    share = torch.tensor([picture.distortion / own.spread for picture in each])
    dead = wilson(own.dead, entries)
    return [
        Row(f"{at}: distortion of the latents over their spread", own.distortion / own.spread, "", "", None, len(share), bootstrap(share), chance.distortion / chance.spread),
        Row(f"{at}: perplexity of the tokens", own.perplexity, f"of {entries}", "", None, len(counts), jackknife(counts, perplexity), chance.perplexity),
        Row(f"{at}: dead entries", own.dead, f"of {entries}", "", None, entries, (dead[0] * entries, dead[1] * entries), chance.dead),
    ]  # fmt: skip # noqa: E501


def perplexity(counts: Tensor) -> float:
    return Usage(counts, 0.0, 0.0).perplexity


def jackknife(counts: Tensor, of: Callable[[Tensor], float]) -> Interval:
    """95 % interval of a function of summed counts, one picture left out at a time.

    Resampling would not do: fewer pictures that differ use fewer entries.
    """
    total, n = counts.sum(0), len(counts)
    without = torch.tensor([of(total - own) for own in counts], dtype=torch.float64)
    error = float(((n - 1) / n * (without - without.mean()).square().sum()).sqrt())
    return of(total) - 1.96 * error, of(total) + 1.96 * error
