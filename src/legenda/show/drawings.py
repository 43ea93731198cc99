"""Pictures and what is drawn from evidence, by key: the same in report, studio and notebook.

    picture/12            a picture of the atlas
    evidence/7/sheet      a sheet: rows of frames, steps from left to right, without labels
    evidence/7/map        an attribution, to be laid over its picture
    evidence/7/map-3      the map of the fourth exemplar
    evidence/7/picture-0  the first of some pictures
    evidence/7/face-5     unit 5 in small: its strongest exemplar, lit by the maps of evidence 7

A map is one pixel a position, with colours that say how strong and opacities that let the picture
be seen where it is weak; browsers enlarge it smoothly, so that thousands of them weigh little.
"""

import io
from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from legenda.atlas.store import Atlas, loaded
from legenda.errors import BadInput, LegendaError
from legenda.show.palette import DIVERGING, SEQUENTIAL, colours
from legenda.show.spotlight import SIDE, face

Media = tuple[str, bytes]
"""The type of a file, and its bytes."""
LEVELS = 32
"""Colours of a map: more are not told apart, and weigh more."""
LEAST = 0.06
"""Opacity where a map is zero; at its peak it is `MOST`."""
MOST = 0.82
GAP, SMALL = 2, 64
"""Pixels between the frames of a sheet; frames that are smaller are enlarged to about that."""
FACED = """SELECT e.picture, p.data, p.width, v.facts FROM exemplars e
  JOIN pictures p ON p.id = e.picture JOIN evidence v ON v.id = e.evidence
  WHERE e.evidence = ? AND e.unit = ? ORDER BY e.place LIMIT 1"""


def media(atlas: Atlas, key: str, longest: int = 0, quality: int = 82) -> Media:
    """The file of a key; with `longest`, made smaller until no side is longer."""
    kind, number, what = _parts(key)
    if kind == "picture":
        return _picture(atlas, number, longest, quality)
    row = atlas.one("SELECT kind FROM evidence WHERE id = ?", number)
    if row is None:
        raise BadInput(f"{atlas.folder} holds no evidence {number}.")
    if what.startswith("face-"):
        return _face(atlas, number, what, min(longest or SIDE, SIDE))
    return _drawn(atlas.arrays(number), row["kind"], what, longest, quality)


def sheet(images: UInt8[Tensor, "r s c h w"], longest: int = 0) -> Image.Image:
    """All frames in rows, with clear lines between them; small ones in whole pixels enlarged."""
    frames = images.movedim(2, 4).numpy()
    rows, steps, height, width, channels = frames.shape
    if channels == 1:
        frames = frames.repeat(3, 4)
    if longest and (share := longest / (steps * width)) < 1:
        to = max(8, round(width * share)), max(8, round(height * share))
        flat = frames.reshape(-1, height, width, 3)
        small = [Image.fromarray(f).resize(to, Image.Resampling.BOX) for f in flat]
        height, width = to[1], to[0]
        frames = np.stack([np.asarray(f) for f in small]).reshape(rows, steps, height, width, 3)
    if not longest and (times := SMALL // height) > 1:
        frames = frames.repeat(times, 2).repeat(times, 3)
        height, width = height * times, width * times
    made = Image.new("RGBA", (steps * (width + GAP) - GAP, rows * (height + GAP) - GAP))
    for row, step in product(range(rows), range(steps)):
        place = step * (width + GAP), row * (height + GAP)
        made.paste(Image.fromarray(frames[row, step]), place)
    return made


def map_image(values: Float[np.ndarray, "rows cols"], peak: float = 0.0) -> Image.Image:
    """A map, one pixel a position; `peak` shares one scale between maps."""
    values = np.nan_to_num(values.astype(np.float64))
    top = peak or float(np.abs(values).max()) or 1.0
    share = (values / top).clip(-1, 1)
    if share.min() < -1e-6:
        table, levels = _table(DIVERGING), np.rint((share + 1) / 2 * (LEVELS - 1))
    else:
        table, levels = _table(SEQUENTIAL), np.rint(share * (LEVELS - 1))
    opacity = LEAST + (MOST - LEAST) * np.abs(np.rint(share * (LEVELS - 1)) / (LEVELS - 1))
    alpha = np.rint(opacity * 255).astype(np.uint8)[..., None]
    return Image.fromarray(np.concatenate([table[levels.astype(int)], alpha], 2))


@cache
def _table(anchors: tuple[str, ...]) -> UInt8[np.ndarray, "levels 3"]:
    return colours(anchors, LEVELS)


def _parts(key: str) -> tuple[str, int, str]:
    words = key.split("/")
    kinds = {2: "picture", 3: "evidence"}
    number = words[1] if len(words) > 1 else ""
    if kinds.get(len(words)) != words[0] or not (number.isascii() and number.isdigit()):
        raise BadInput(
            f"a picture is named such as picture/12 or evidence/7/sheet; it got {key[:80]!r}."
        )
    return words[0], int(number[:18]), words[2] if len(words) == 3 else ""


def _picture(atlas: Atlas, number: int, longest: int, quality: int) -> Media:
    row = atlas.one("SELECT media, data, width, height FROM pictures WHERE id = ?", number)
    if row is None:
        raise BadInput(f"{atlas.folder} holds no picture {number}.")
    if not longest or (max(row["width"], row["height"]) <= longest and len(row["data"]) < 6000):
        return row["media"], row["data"]
    picture = _read(atlas, number, row["data"], longest)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    data = _webp(picture, quality)
    return ("image/webp", data) if len(data) < len(row["data"]) else (row["media"], row["data"])


def _read(atlas: Atlas, number: int, data: bytes, longest: int) -> Image.Image:
    """A picture in colours; it may be read smaller, where its format lets it be."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.draft("RGB", (longest, longest))
        return picture.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as problem:
        raise BadInput(f"picture {number} of {atlas.folder} cannot be read: {problem}.") from None


def _face(atlas: Atlas, evidence: int, what: str, side: int) -> Media:
    """The strongest exemplar of a unit, lit by its map; without light where that is lost."""
    number = what.removeprefix("face-")
    known = number.isascii() and number.isdigit() and len(number) < 18
    row = atlas.one(FACED, evidence, int(number)) if known else None
    if row is None:
        raise BadInput(f"evidence {evidence} has no {what[:40]!r}.")
    try:
        maps = atlas.arrays(evidence)["maps"]
    except (LegendaError, KeyError):
        return _picture(atlas, row["picture"], side, 60)
    facts = loaded(row["facts"])
    frame = (facts.get("frames") or [facts.get("frame")])[0]
    picture = _read(atlas, row["picture"], row["data"], 2 * SIDE)
    drawn = picture.width / max(1, row["width"])
    frame = [drawn * float(edge) for edge in frame] if frame else None
    peak = float(maps.abs().max())
    return "image/webp", face(picture, maps[0].double().numpy(), peak, frame, side)


def _drawn(arrays: dict[str, Tensor], kind: str, what: str, longest: int, quality: int) -> Media:
    name, _, place = what.partition("-")
    try:
        if (kind, what) == ("sheet", "sheet"):
            return "image/webp", _webp(sheet(arrays["images"], longest), quality)
        if (kind, what) == ("attribution", "map"):
            return "image/webp", _exact(map_image(arrays["map"].numpy()))
        if (kind, name) == ("exemplars", "map"):
            maps = arrays["maps"]
            peak = float(maps.abs().max()) if maps.numel() else 0.0
            return "image/webp", _exact(map_image(maps[int(place)].numpy(), peak))
        if (kind, name) == ("pictures", "picture"):
            one = arrays["images"][int(place)].movedim(0, 2).numpy()
            made = Image.fromarray(one if one.shape[2] == 3 else one.repeat(3, 2))
            if longest:
                made.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            return "image/webp", _webp(made, quality)
    except (KeyError, IndexError, ValueError):
        pass
    raise BadInput(f"evidence of the kind {kind} has no {what[:40]!r}.")


def _webp(picture: Image.Image, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, "WEBP", quality=quality, method=2)
    return held.getvalue()


def _exact(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "WEBP", lossless=True, quality=60, method=2)
    return held.getvalue()
