"""The pictures of a report, each once, at the largest size at which all of them fit."""

import os
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor

from legenda.atlas.store import Atlas
from legenda.errors import LegendaError
from legenda.show.drawings import media
from legenda.show.links import data_uri

SIZES = (
    (960, 80), (720, 78), (512, 76), (384, 74), (320, 73), (272, 72), (224, 70), (192, 68),
    (160, 66), (136, 64), (112, 60), (80, 50),
)  # fmt: skip
"""The longest side, and the quality of WebP, from the finest to the least that says anything."""
FRAMES, COARSER = 2, 10
"""A sheet may be so much longer, and of so much less quality: it is many pictures in one."""
FINER, FINEST = 3, 640
"""A picture with a page of its own may be so much longer, up to so many pixels."""
SAMPLE, TAG = 24, 50
"""So many of each kind are drawn to see whether a size will do; bytes of an element around one."""


def pictured(
    atlas: Atlas, keys: Sequence[str], budget: int, finer: Set[str] = frozenset()
) -> list[tuple[str, str]]:
    """Each key with its picture as an address; what cannot be read is left out.

    Those in `finer` have a page of their own, and are kept larger.
    """
    for place, (longest, quality) in enumerate(SIZES):
        last = place == len(SIZES) - 1
        if (
            len(keys) > SAMPLE
            and not last
            and _guess(atlas, keys, longest, quality, finer) > budget
        ):
            continue
        found = _drawn(atlas, keys, longest, quality, finer)
        if last or sum(len(key) + len(uri) + TAG for key, uri in found) <= budget:
            return found
    return []


def _guess(
    atlas: Atlas, keys: Sequence[str], longest: int, quality: int, finer: Set[str] = frozenset()
) -> float:
    """What all of them would weigh, by some of each kind."""
    kinds: dict[tuple[str, bool], list[str]] = {}
    for key in keys:
        what = key.rpartition("/")[2].partition("-")[0].strip("0123456789")
        kinds.setdefault((what, key in finer), []).append(key)
    total = 0.0
    for group in kinds.values():
        some = _drawn(atlas, group[:: -(-len(group) // SAMPLE)], longest, quality, finer)
        each = sum(len(key) + len(uri) + TAG for key, uri in some) / max(1, len(some))
        total += each * len(group)
    return total


def _drawn(
    atlas: Atlas, keys: Sequence[str], longest: int, quality: int, finer: Set[str] = frozenset()
) -> list[tuple[str, str]]:
    def one(key: str) -> str | None:
        try:
            if key.endswith("/sheet"):
                return data_uri(*media(atlas, key, longest * FRAMES, quality - COARSER))
            side = min(max(longest, FINEST), longest * FINER) if key in finer else longest
            return data_uri(*media(atlas, key, side, quality))
        except LegendaError:  # a torn file takes one picture away, not the page
            return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        made = list(pool.map(one, keys))
    return [(key, uri) for key, uri in zip(keys, made, strict=True) if uri is not None]
