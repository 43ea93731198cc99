"""Pictures as an atlas keeps them: small files, which name no place on any machine.

A picture is kept at `SIDE` pixels at most. One that is smaller than `LEAST`, as those of a small
tokenizer are, is enlarged by a whole factor, so that its cells can be seen and pointed at.
"""

import io
from collections.abc import Mapping
from math import ceil

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from legenda.atlas.entries import EvidenceEntry, PictureEntry
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas, loaded
from legenda.atlas.write import put_reading
from legenda.core.codes import Codes
from legenda.corpus.view_box import Preprocess

SIDE, LEAST, QUALITY = 256, 96, 84
MEDIA = "image/webp"


def picture_entry(picture: Image.Image, source: str, caption: str = "") -> PictureEntry:
    """A picture as a small file; of a path only the last name is kept."""
    small = resized(picture)
    held = io.BytesIO()
    small.save(held, "WEBP", quality=QUALITY, method=4)
    return PictureEntry(last_name(source), caption, small.width, small.height, MEDIA, held.getvalue())  # fmt: skip # noqa: E501


def resized(picture: Image.Image) -> Image.Image:
    """The picture at a size that pages can show."""
    shown = picture.convert("RGB")
    longest = max(shown.size)
    if longest < LEAST:
        by = ceil(LEAST / longest)
        return shown.resize((shown.width * by, shown.height * by), Image.Resampling.NEAREST)
    shown.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return shown


def last_name(source: str) -> str:
    """A path without the folders it lies in, which are nobody else's business."""
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2] or "picture"


def frame_of(view: Preprocess, size: tuple[int, int], kept: PictureEntry) -> list[float]:
    """Where the input of a model lies on what is kept of a picture of `size`, in its pixels."""
    left, top, right, bottom = view.frame(size)
    x, y = kept.width / size[0], kept.height / size[1]
    return [round(v, 3) for v in (left * x, top * y, right * x, bottom * y)]


def codes_entry(codes: Codes, grid: tuple[int, int], frame: list[float]) -> EvidenceEntry:
    """The units of one picture, the strongest of each position first; slots that are off go."""
    weight = codes.weight[0].detach().cpu().float()
    order = weight.argsort(dim=1, descending=True, stable=True)
    most = max(1, int((weight > 0).sum(1).amax())) if weight.numel() else 1
    arrays = {
        "index": codes.index[0].cpu().gather(1, order)[:, :most].to(torch.int32),
        "weight": weight.gather(1, order)[:, :most].clamp(min=0),
    }
    return EvidenceEntry("codes", arrays, {"grid": list(grid), "frame": frame})


def put_codes(atlas: Atlas, set_id: int, entries: Mapping[int, EvidenceEntry]) -> None:
    """The units of pictures, by number; nats that were known of their positions stay."""
    kept = [with_known(atlas, set_id, picture, entry) for picture, entry in entries.items()]
    for picture, evidence in zip(entries, put_evidence(atlas, kept), strict=True):
        put_reading(atlas, picture, set_id, evidence)


def with_known(atlas: Atlas, set_id: int, picture: int, entry: EvidenceEntry) -> EvidenceEntry:
    """The same, with the nats that an earlier reading of the picture has."""
    there = reading(atlas, set_id, picture)
    if there is None or "nats" in entry.arrays or "nats" not in there.arrays:
        return entry
    nats = there.arrays["nats"]
    alike = len(nats) == len(entry.arrays["index"])
    return with_nats(entry, nats, str(there.facts.get("nats", ""))) if alike else entry


def reading(atlas: Atlas, set_id: int, picture: int) -> EvidenceEntry | None:
    """The units of a picture, as the atlas has them."""
    row = atlas.one(
        "SELECT e.id, e.facts FROM readings r JOIN evidence e ON e.id = r.evidence "
        "WHERE r.picture = ? AND r.set_id = ?",
        picture, set_id,
    )  # fmt: skip
    if row is None:
        return None
    return EvidenceEntry("codes", atlas.arrays(row["id"]), loaded(row["facts"]))


def with_nats(entry: EvidenceEntry, nats: Float[Tensor, " n"], of: str) -> EvidenceEntry:
    """The same, with what each position says of a sentence."""
    arrays = {**entry.arrays, "nats": nats.detach().cpu().float().contiguous()}
    return EvidenceEntry("codes", arrays, {**entry.facts, "nats": of})
