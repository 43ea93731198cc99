"""A VQ tokenizer from any autoencoder: its latents, written with a codebook fitted to them.

An autoencoder without a codebook gives a vector per cell of its grid. k-means (`kmeans.py`) finds
a few entries near which the cells lie; the nearest one is a cell's token, and the decoder is
given entries instead of latents. What that costs is the distortion, in squared units of the
latents,

    D(c) = 1/m · Σ_i min_k ‖a_i - c_k‖²                                                       (1)

which is to be read beside the spread of the cells, D of their mean alone. The decoder was never
trained on entries, so that pictures suffer more than in a model that was.

References
----------
Van den Oord, Vinyals, Kavukcuoglu. Neural discrete representation learning. NeurIPS 2017. Tokens
of an autoencoder, trained together with its codebook; here it is fitted afterwards.
Lloyd. Least squares quantization in PCM. IEEE Transactions on Information Theory 1982. (1).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from legenda.core.codebook import Codebook
from legenda.core.target import digest
from legenda.corpus.survey import Sums
from legenda.corpus.view_box import Preprocess
from legenda.errors import BadInput, Missing, Refused, ShapeError
from legenda.models.kmeans import cells_of, first_entries, lloyd, nothing, sampled
from legenda.models.loading import loaded, short
from legenda.models.vq import VQ, Latents, vq_of
from legenda.train.loop import keep
from legenda.types import Images

AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
"""What `open_autoencoder` opens; both of diffusers."""
KIND = "fitted codebook of legenda"


def fit_codebook(
    latents: Tensor | Iterable[Tensor], entries: int = 256, seed: int = 0,
    *, most: int = 1 << 16, rounds: int = 100,
) -> Codebook:  # fmt: skip
    """Entries that lie near the cells of latents, which are (b n d) or (b d y x).

    Parameters
    ----------
    latents: batches of them, read once; how they are batched changes nothing.
    entries: more say every cell more exactly.
    seed: of the sample of cells, and of the entries that k-means begins with.
    most: so many cells are fitted at most; more are nearer to all of them, and take longer.
    rounds: of k-means at most; more come nearer to its fixed point.
    """
    if not 1 <= entries <= most:
        raise BadInput(
            f"a codebook is fitted with 1 to {most} entries, one per cell at most; it was asked "
            f"for {entries}. Ask for fewer, or raise `most`."
        )
    lot = torch.Generator().manual_seed(seed)
    cells = sampled(latents, most, lot)
    distinct = len({row.tobytes() for row in (cells + 0.0).numpy()})  # + 0.0 makes -0 a 0
    if distinct < entries:
        raise Refused(
            f"a codebook of {entries} entries needs as many cells that differ; of {len(cells)} "
            f"cells {distinct} do. Give more pictures, or ask for fewer entries."
        )
    return Codebook(lloyd(cells, first_entries(cells, entries, lot), rounds).float())


@dataclass(frozen=True)
class Usage:
    """How a codebook says the cells of latents.

    Parameters
    ----------
    counts: of how many cells each entry is the nearest.
    distortion: equation (1); larger is coarser.
    spread: what (1) would be with their mean as the only entry.
    """

    counts: Int[Tensor, " k"]
    distortion: float
    spread: float

    @property
    def dead(self) -> int:
        """Entries that are nearest to no cell."""
        return int((self.counts == 0).sum())

    @property
    def perplexity(self) -> float:
        """How many entries there would be, were all used alike."""
        share = self.counts.double() / self.counts.sum()
        return float(torch.special.entr(share).sum().exp())


def usage(codebook: Codebook, latents: Tensor | Iterable[Tensor]) -> Usage:
    """What becomes of latents, which should not be those that the codebook was fitted to."""
    counts, total, sums = torch.zeros(len(codebook), dtype=torch.int64), 0.0, None
    for cells in cells_of(latents):
        index, distance = codebook.nearest(cells[None].to(codebook.atoms.device))
        counts += torch.bincount(index[0].cpu(), minlength=len(codebook))
        total += float(distance.double().square().sum())  # (1), times m
        sums = Sums.of(cells) if sums is None else sums.merge(Sums.of(cells))
    if sums is None or not sums.count:
        raise nothing()
    return Usage(counts, total / sums.count, float(sums.squares.sum()) / sums.count)


def quantised(
    root: nn.Module,
    encode: Callable[[Any, Images], Latents],
    unquantise: Callable[[Any, Latents], Images] | None,
    preprocess: Preprocess,
    source: Codebook | Sequence[Image.Image],
    *,
    entries: int = 256, seed: int = 0, batch: int = 16, ref: str, name: str = "",
) -> VQ:  # fmt: skip
    """An autoencoder as a VQ model, with a codebook or one that is fitted to pictures.

    Parameters
    ----------
    root: the autoencoder, which is put into evaluation.
    encode, unquantise: pixels to latents (b d y x), and back; see `VQ`.
    source: a codebook that `load_codebook` read, or pictures to fit one to.
    entries, seed: of the fit; see `fit_codebook`.
    batch: pictures that are encoded at once.
    ref: a factory that calls this, `package.module:factory`, if it is to be opened again.
    """
    root = root.eval().requires_grad_(False)
    device, about = next(root.parameters()).device, {"kind": "autoencoder with a codebook"}
    if isinstance(source, Codebook):
        book = source
    else:
        batches = (source[i : i + batch] for i in range(0, len(source), batch))
        book = fit_codebook(_encoded(root, encode, preprocess, batches, name or ref), entries, seed)
        about["fitted to"] = f"{len(source)} pictures"
    about["kind"] += f", {len(book)} entries of width {book.atoms.shape[1]}"
    book = Codebook(book.atoms.to(device), book.name)
    return vq_of(root, book, encode, unquantise, preprocess, ref=ref, name=name, about=about)


def open_autoencoder(
    folder: str | Path, source: Codebook | Sequence[Image.Image],
    *, size: tuple[int, int] = (256, 256), entries: int = 256, seed: int = 0, ref: str = "",
) -> VQ:  # fmt: skip
    """A folder of an autoencoder of diffusers as a VQ model; a latent is its posterior's mean."""
    import diffusers

    ref, where = ref or str(folder), {"local_files_only": True}
    config = loaded(folder, ref, lambda: diffusers.AutoencoderKL.load_config(folder, **where))  # pyright: ignore # noqa: E501
    kind = config.get("_class_name", "nothing")
    if kind not in AUTOENCODERS:
        raise Refused(
            f"{ref} is a {kind}; a codebook is fitted to an {' or an '.join(AUTOENCODERS)} of "
            "diffusers. Give another encoder to `quantised` as a function."
        )
    model = loaded(folder, ref, lambda: getattr(diffusers, kind).from_pretrained(folder, **where))
    return quantised(
        model.float(), _posterior_mean, lambda m, z: m.decode(z).sample, Preprocess(size), source,
        entries=entries, seed=seed, ref=ref, name=short(ref),
    )  # fmt: skip


def save_codebook(codebook: Codebook, root: nn.Module, path: Path) -> None:
    """Write a codebook as safetensors, with what tells the weights of its autoencoder."""
    about = {"kind": KIND, "autoencoder": weights_digest(root)}
    keep(path, {"entries": codebook.atoms.float().cpu()}, about)


def load_codebook(path: Path, root: nn.Module) -> Codebook:
    """Read what `save_codebook` wrote; a codebook of other weights is refused."""
    if not path.is_file():
        raise Missing(f"{path} is not there. Give a file that `save_codebook` wrote.")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            entries = file.get_tensor("entries") if about.get("kind") == KIND else None
    except (SafetensorError, OSError) as problem:
        raise Refused(f"{path} cannot be read: {problem}. Fit the codebook again.") from None
    if entries is None:
        raise Refused(f"{path} holds no fitted codebook. Give a file that `save_codebook` wrote.")
    kept, own = about.get("autoencoder", "nothing"), weights_digest(root)
    if kept != own:
        raise Refused(
            f"{path} was fitted to the autoencoder {kept}; this one is {own}, with other weights. "
            "Fit a codebook to it."
        )
    return Codebook(entries)


def weights_digest(root: nn.Module) -> str:
    """Twelve letters that stand for all weights of a network, by name."""
    said = "".join(f"{name} {digest(value)}\n" for name, value in sorted(root.state_dict().items()))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _encoded(
    root: nn.Module, encode: Callable[[Any, Images], Latents], preprocess: Preprocess,
    batches: Iterable[Sequence[Image.Image]], name: str,
) -> Iterator[Latents]:  # fmt: skip
    """Latents of pictures, a batch at a time."""
    for pictures in batches:
        x = torch.stack([preprocess.apply(p) for p in pictures])
        with torch.no_grad():
            latents = encode(root, x.to(next(root.parameters()).device))
        if latents.ndim != 4:
            raise ShapeError(
                f"{name} encodes pictures as {tuple(latents.shape)}; tokens need a grid of "
                "latents (b d y x). Give an encoder that keeps one."
            )
        yield latents


def _posterior_mean(model: Any, x: Tensor) -> Tensor:
    found = model.encode(x)
    return found.latent_dist.mean if hasattr(found, "latent_dist") else found.latents
