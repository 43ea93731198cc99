"""Collages: masks are the truth about where things are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from legenda.errors import Missing
from legenda.zoo.photos.collage import Stamp, collage, stamps
from legenda.zoo.photos.fetch import home

COLOURS = {"red": (255, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}


def disc(name: str) -> Stamp:
    picture = Image.new("RGBA", (60, 40))
    ImageDraw.Draw(picture).ellipse((0, 0, 59, 39), (*COLOURS[name], 255))
    return Stamp(f"A {name} disc", f"{name} disc", picture)


DISCS = [disc(name) for name in COLOURS]


@pytest.mark.parametrize("seed", range(20))
def test_a_mask_shows_its_own_stamp_and_masks_are_disjoint(seed: int) -> None:
    picture, placed = collage(seed, DISCS)
    assert picture.shape == (224, 224, 3)
    assert picture.dtype == np.uint8
    assert 2 <= len(placed) <= 4
    assert len({p.name for p in placed}) == len(placed)
    assert sum(p.mask.astype(int) for p in placed).max() == 1
    for p in placed:
        colour = np.array(COLOURS[p.name.split()[0]])
        off = np.abs(picture[p.mask].astype(int) - colour).max(1)
        assert np.median(off) < 20
        assert p.mask.mean() > 0.01


def test_stamps_hardly_overlap() -> None:
    """Visible area against the whole ellipse that was pasted, over many collages."""
    shares = []
    for seed in range(40):
        for p in collage(seed, DISCS, n=4)[1]:
            rows, columns = np.nonzero(p.mask)
            box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            shares.append(p.mask.sum() / (np.pi / 4 * box))
    assert np.mean(np.array(shares) > 0.85) > 0.95


def test_a_collage_is_a_function_of_its_seed() -> None:
    one, other, third = collage(5, DISCS), collage(5, DISCS), collage((5, 1), DISCS)
    assert (one[0] == other[0]).all()
    assert all((p.mask == q.mask).all() for p, q in zip(one[1], other[1], strict=True))
    assert (one[0] != third[0]).any()


def test_n_and_size_are_obeyed() -> None:
    picture, placed = collage(0, DISCS, n=3, size=96)
    assert picture.shape == (96, 96, 3)
    assert len(placed) == 3


def test_without_stamps_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing) as caught:
        stamps(tmp_path)
    assert str(caught.value) == (
        f"Collages need the Tux Paint stamps, which are not in {home(tmp_path) / 'pairs'}. Run "
        "`legenda zoo train photos` once, or call fetch_pairs(); it needs apt-get."
    )


@pytest.mark.skipif(
    not (home() / "pairs" / "tuxpaint").is_dir(),
    reason="the Tux Paint stamps are not in the cache: run `legenda zoo train photos`",
)
def test_real_stamps_are_cut_outs_of_held_out_families() -> None:
    held = stamps()
    assert len(held) >= 40
    assert len({stamp.caption for stamp in held}) == len(held)
    picture, placed = collage(0, held)
    assert picture.std() > 1
    assert all(p.mask.any() for p in placed)
