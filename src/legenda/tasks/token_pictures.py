"""How tokens look: decoded alone, in the company they keep, and where they matter most.

Alone: the middle of a picture in which every position holds the token. In company: the mean of
the patches that are decoded at the positions that hold it, whatever stands around them; patches
are added up as bytes in int64, so that neither order nor batches matter.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8, UInt16
from PIL import Image
from torch import Tensor

from legenda.models.vq import VQ
from legenda.tasks.shelf import Shelf, digested, shards
from legenda.tasks.token_survey import BATCH, Report, Survey, further, model_key, pixels, silent

Cells = tuple[int, int]
Tiles = UInt8[np.ndarray, "r h w 3"]
MIDDLE, AROUND = 3, 5
"""Rows and columns of cells that are shown of a token alone, and around an exemplar."""
LONGEST = 48
"""Pixels of the longer side of what is shown, at most."""


def alone(vq: VQ, tokens: Sequence[int], shelf: Shelf, report: Report = silent) -> Tiles | None:
    """Each token decoded with nothing but itself; None where the model has no decoder."""
    if vq.unquantise is None or not tokens:
        return None
    model, found = model_key(vq), []
    middle = window(vq, vq.grid[0] // 2, vq.grid[1] // 2, MIDDLE)
    for start in range(0, len(tokens), 128):
        part = list(tokens[start : start + 128])
        kept = shelf.once("alone", [model, part], partial(filled, vq, part, middle))
        found.append(kept["tiles"].numpy())
        report("decoding tokens", start + len(part), len(tokens))
    return np.concatenate(found)


@torch.no_grad()
def filled(vq: VQ, tokens: Sequence[int], middle: Cells) -> dict[str, Tensor]:
    """The middle of pictures of one token each."""
    made, device = [], vq.codebook.atoms.device
    for start in range(0, len(tokens), BATCH):
        part = torch.tensor(tokens[start : start + BATCH], device=device)
        grids = part[:, None].expand(-1, vq.grid[0] * vq.grid[1])
        shown = vq.bytes(vq.decode(vq.embed(grids))).cpu().numpy()
        made += [tile(picture, vq.grid, middle, MIDDLE) for picture in shown]
    return {"tiles": torch.from_numpy(np.stack(made))}


def in_company(
    vq: VQ, survey: Survey, tokens: Sequence[int], shelf: Shelf, report: Report = silent
) -> Tiles | None:
    """The mean decoded patch of each token, black where it is nowhere."""
    if vq.unquantise is None or not tokens:
        return None
    model, done = [model_key(vq), list(tokens)], 0
    sums: Tensor | None = None
    for part in shards(survey.keys):
        held = survey.tokens[part]
        tell = partial(further, report, "decoding images", done, len(survey))
        make = partial(added, vq, held, tokens, tell)
        found = shelf.once("company", [model, digested(held)], make)["sums"]
        sums = found if sums is None else sums + found
        done += len(part)
    assert sums is not None, "labels have images"
    cells = np.bincount(survey.tokens.ravel(), minlength=len(vq.codebook))[list(tokens)]
    mean = sums.double().numpy() / np.maximum(1, cells)[:, None, None, None]
    return np.rint(mean).astype(np.uint8)


@torch.no_grad()
def added(
    vq: VQ, held: UInt16[np.ndarray, "b n"], tokens: Sequence[int], tell: partial[None]
) -> dict[str, Tensor]:
    """Sums of the patches decoded at each token's positions."""
    place = torch.full((len(vq.codebook),), len(tokens))
    place[list(tokens)] = torch.arange(len(tokens))
    sums: Tensor | None = None
    for start in range(0, len(held), BATCH):
        grids = torch.from_numpy(held[start : start + BATCH].astype(np.int64))
        shown = vq.bytes(vq.decode(vq.embed(grids.to(vq.codebook.atoms.device)))).cpu()
        cut = patches(shown, vq.grid)
        if sums is None:
            sums = torch.zeros(len(tokens) + 1, *cut.shape[1:], dtype=torch.int64)
        sums.index_add_(0, place[grids.flatten()], cut.long())
        tell(min(start + BATCH, len(held)))
    assert sums is not None, "a shard has images"
    return {"sums": sums[:-1].clone()}


def patches(shown: UInt8[Tensor, "b h w 3"], grid: Cells) -> UInt8[Tensor, "r y x 3"]:
    """Pictures cut into the cells of the grid."""
    (rows, columns), (_, h, w, _) = grid, shown.shape
    down, across = h // rows, w // columns
    y = torch.arange(rows)[:, None] * h // rows + torch.arange(down)
    x = torch.arange(columns)[:, None] * w // columns + torch.arange(across)
    cut = shown[:, y.flatten()][:, :, x.flatten()]
    cut = cut.unflatten(1, (rows, down)).unflatten(3, (columns, across))
    return cut.transpose(2, 3).flatten(0, 2)


def crops(
    vq: VQ, survey: Survey, places: Sequence[Cells], shelf: Shelf, report: Report = silent
) -> Tiles | None:
    """What is around positions of images, given as rows of the survey and positions."""
    if not places:
        return None
    model, columns, found, done = model_key(vq), vq.grid[1], {}, 0
    for part in shards([survey.keys[row] for row, _ in places]):
        wanted = sorted((survey.keys[places[i][0]], places[i][1], i) for i in part)
        said = [(key, position) for key, position, _ in wanted]
        cells = [(places[i][0], *divmod(places[i][1], columns)) for _, _, i in wanted]
        kept = shelf.once("crops", [model, said], partial(cropped, vq, survey, cells))["tiles"]
        found |= dict(zip((i for _, _, i in wanted), kept.numpy(), strict=True))
        done += len(part)
        report("exemplars", done, len(places))
    return np.stack([found[i] for i in range(len(places))])


def cropped(vq: VQ, survey: Survey, cells: Sequence[tuple[int, int, int]]) -> dict[str, Tensor]:
    """What is around cells, each image opened once."""
    images, made, last = survey.labels.images, [], -1
    shown = np.zeros((1, 1, 3), np.uint8)
    for row, y, x in cells:
        if row != last:
            shown = vq.bytes(pixels(vq, images[row].image))[0].cpu().numpy()
            last = row
        made.append(tile(shown, vq.grid, window(vq, y, x, AROUND), AROUND))
    return {"tiles": torch.from_numpy(np.stack(made))}


@torch.no_grad()
def decoded(
    vq: VQ, survey: Survey, cells: Sequence[tuple[int, int, int]], side: int
) -> list[UInt8[np.ndarray, "y x 3"]]:
    """What is decoded around cells, in the pixels of the decoder; each picture decoded once."""
    rows, cut = sorted({row for row, _, _ in cells}), {}
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        grids = torch.from_numpy(survey.tokens[some].astype(np.int64)).to(vq.codebook.atoms.device)
        shown = dict(zip(some, vq.bytes(vq.decode(vq.embed(grids))).cpu().numpy(), strict=True))
        for row, y, x in cells:
            if row in shown:
                cut[row, y, x] = piece(shown[row], vq.grid, window(vq, y, x, side), side)
    return [cut[cell] for cell in cells]


def window(vq: VQ, row: int, column: int, side: int) -> Cells:
    """Where a window of cells around a cell begins, so that it lies on the grid."""
    (rows, columns), half = vq.grid, side // 2
    top = min(max(0, row - half), max(0, rows - side))
    return top, min(max(0, column - half), max(0, columns - side))


def size(vq: VQ, side: int) -> Cells:
    """Rows and columns of pixels that a window of cells has in what is decoded."""
    (rows, columns), (h, w) = vq.grid, vq.preprocess.size
    return min(side, rows) * h // rows, min(side, columns) * w // columns


def tile(
    picture: UInt8[np.ndarray, "h w 3"], grid: Cells, at: Cells, side: int
) -> UInt8[np.ndarray, "y x 3"]:
    """A window of cells, cut out of a picture and brought to the size of all tiles."""
    (rows, columns), (h, w, _) = grid, picture.shape
    down, across = min(side, rows), min(side, columns)
    cut = piece(picture, grid, at, side)
    height, width = down * (h // rows), across * (w // columns)
    shrink = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if size == (cut.shape[1], cut.shape[0]):
        return cut
    return np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BOX))


def piece(
    picture: UInt8[np.ndarray, "h w 3"], grid: Cells, at: Cells, side: int
) -> UInt8[np.ndarray, "y x 3"]:
    """A window of cells, as it is in a picture."""
    (rows, columns), (h, w, _) = grid, picture.shape
    down, across = min(side, rows), min(side, columns)
    y, x = at[0] * h // rows, at[1] * w // columns
    return picture[y : (at[0] + down) * h // rows, x : (at[1] + across) * w // columns]
