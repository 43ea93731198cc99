"""Is-a against part-of: a slow twin, a planted world of cars, and the laws of supports."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from legenda.core.codes import Codes
from legenda.errors import BadInput
from legenda.explain.part_of import (
    Geometry,
    Kinds,
    SupportPairs,
    around,
    around_child,
    compared,
    supports,
)

GRID = (12, 12)
CAR, RED, WHEEL, ROAD, BLINK, NOWHERE = range(6)
PAIRS = np.array([(RED, CAR), (WHEEL, CAR), (CAR, ROAD), (BLINK, CAR), (WHEEL, RED), (NOWHERE, CAR)])  # fmt: skip # noqa: E501


def street(seed=0, images=60):
    """Cars on a road, one or two an image; some are red, all have two wheels.

    The unit of cars is off at the wheels, which have a unit of their own. A light may blink
    anywhere. The road lies below the cars.
    """
    lot = np.random.default_rng(seed)
    maps = np.zeros((images, *GRID, 6), np.float32)
    for image in maps:
        image[9:, :, ROAD] = 1
        for left in (0, 6)[: lot.integers(1, 3)]:
            top, red = lot.integers(2, 5), lot.random() < 0.5
            left = left + lot.integers(0, 2)
            image[top : top + 4, left : left + 5, CAR] = 0.5 + lot.random((4, 5))
            image[top : top + 4, left : left + 5, RED] = red * (0.5 + lot.random((4, 5)))
            for wheel in (left + 1, left + 3):
                image[top + 3, wheel, [CAR, RED]] = 0
                image[top + 3, wheel, WHEEL] = 1 + lot.random()
        image[lot.integers(12), lot.integers(12), BLINK] = 1
    return coded(maps)


def coded(maps):
    """Maps of all units (b h w k) as codes."""
    weight = torch.from_numpy(maps).flatten(1, 2)
    return Codes(torch.arange(weight.shape[2]).expand(weight.shape), weight, weight.shape[2])


def noisy(seed=0, images=10, grid=(6, 5), units=4):
    """Blobs by lot."""
    lot = np.random.default_rng(seed)
    maps = lot.random((images, *grid, units)).astype(np.float32)
    maps[lot.random(maps.shape) < 0.6] = 0
    for image in range(images):
        maps[image, ..., lot.integers(units)] = 0
    return coded(maps)


def twin(codes, pairs, grid, mass):
    """Equation (1) with sets, a position at a time."""
    height, width = grid
    rows = {pair: [] for pair in pairs}
    for maps in codes.dense().double().unflatten(1, grid).numpy():
        for i, j in pairs:
            child, parent = support(maps[..., i], mass), support(maps[..., j], mass)
            if not child:
                continue
            own: set = set()
            for blob in blobs(parent):
                if any(near(p) & child for p in blob):
                    own |= blob
            outside = flood({(-1, -1)}, lambda p, own=own: -1 <= p[0] <= height and -1 <= p[1] <= width and p not in own)  # fmt: skip # noqa: E501
            cells = {(y, x) for y in range(height) for x in range(width)}
            region = {p for p in cells if near(p) & (cells - outside)}
            chance = len(child) * len(own) / len(cells)
            rows[i, j].append((
                len(child & own) / len(child | own), len(child & region) / len(child),
                bool(parent), len(child & parent) / len(child),
                chance / (len(child) + len(own) - chance), len(region) / len(cells),
            ))  # fmt: skip
    return {pair: (len(seen), np.mean(seen, 0)) for pair, seen in rows.items() if seen}


def support(weight, mass):
    order = sorted((-w, y, x) for (y, x), w in np.ndenumerate(weight) if w > 1e-3)
    total, held, found = -sum(o[0] for o in order), 0.0, set()
    for w, y, x in order:
        if held >= mass * total - 1e-9:
            break
        held -= w
        found.add((y, x))
    return found


def near(p):
    return {(p[0] + y, p[1] + x) for y in (-1, 0, 1) for x in (-1, 0, 1)}


def blobs(cells):
    left, found = set(cells), []
    while left:
        blob, waiting = set(), [left.pop()]
        while waiting:
            p = waiting.pop()
            blob.add(p)
            fresh = near(p) & left
            left -= fresh
            waiting += fresh
        found.append(blob)
    return found


def flood(start, open_):
    """All cells reached from the start by sides."""
    seen, waiting = set(start), list(start)
    while waiting:
        y, x = waiting.pop()
        for p in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if p not in seen and open_(p):
                seen.add(p)
                waiting.append(p)
    return seen


@pytest.mark.parametrize("mass", [0.9, 1.0, 0.5])
def test_it_is_the_slow_twin(mass):
    codes, pairs = noisy(), [(0, 1), (1, 0), (2, 3), (0, 3), (3, 2)]
    found = compared(np.array(pairs), [codes], 4, (6, 5), mass)
    wanted = twin(codes, pairs, (6, 5), mass)
    columns = (found.overlap, found.inside, found.present, found.both, found.overlap_chance, found.inside_chance)  # fmt: skip # noqa: E501
    for at, pair in enumerate(pairs):
        assert found.images[at] == wanted[pair][0] > 0
        assert [float(c[at]) for c in columns] == pytest.approx(list(wanted[pair][1])), pair


def test_a_street_is_understood():
    """Red cars are cars, wheels are parts of cars; the road and a blinking light are neither."""
    found = compared(PAIRS, [street()], 6, GRID)
    assert Kinds()(found) == ("is-a", "part-of", "beside", "beside", "beside", "")
    assert Kinds(sure=True)(found)[:2] == ("is-a", "part-of")
    assert found.present[1] == 1 and found.both[1] == 0, "a wheel hides the car where it is"
    assert found.inside[1] > 0.99 > 2 * found.inside_chance[1]
    assert (found.overlap_interval[:2, 0] > found.overlap_chance[:2]).tolist() == [True, False]
    assert np.isnan(found.overlap).sum() == 0 and found.images[5] == 0


def test_another_object_of_the_kind_in_the_image_changes_nothing():
    maps = np.zeros((1, *GRID, 2), np.float32)
    maps[0, 1:5, 1:5] = 1
    alone = compared(np.array([(0, 1)]), [coded(maps)], 2, GRID)
    maps[0, 7:11, 7:11, 1] = 1
    both = compared(np.array([(0, 1)]), [coded(maps)], 2, GRID)
    assert alone.overlap[0] == both.overlap[0] == 1


def test_what_fills_the_image_holds_nothing_as_a_part():
    """All lies inside a region that is nearly everything: that says nothing."""
    maps = np.zeros((40, *GRID, 2), np.float32)
    maps[:, 1:, :, 1] = 1
    lot = np.random.default_rng(0)
    for image in maps:
        image[lot.integers(1, 12), lot.integers(12), 0] = 1
    found = compared(np.array([(0, 1)]), [coded(maps)], 2, GRID)
    assert found.inside[0] == 1 == found.inside_chance[0]
    assert Kinds()(found) == ("beside",)


def test_nothing_to_compare_is_nothing_found():
    none = compared(np.zeros((0, 2), np.int64), [street(images=2)], 6, GRID)
    assert Kinds()(none) == () and len(none.images) == 0
    off = compared(np.array([(NOWHERE, CAR)]), [street(images=2)], 6, GRID)
    assert off.images.tolist() == [0] and off.overlap_interval.tolist() == [[0, 1]]


def test_batches_change_nothing():
    codes = street(images=21)
    whole = compared(PAIRS, [codes], 6, GRID)
    for size in (1, 4, 13):
        parts = zip(codes.index.split(size), codes.weight.split(size), strict=True)
        parted = compared(PAIRS, (Codes(i, w, 6) for i, w in parts), 6, GRID)
        for name in Geometry.__dataclass_fields__:
            assert np.array_equal(getattr(whole, name), getattr(parted, name)), name


def test_parts_of_a_corpus_merge():
    codes = street(images=20)
    first, second = (Codes(codes.index[at], codes.weight[at], 6) for at in (slice(9), slice(9, 20)))
    halves = [SupportPairs(PAIRS, 6, GRID).update(part) for part in (first, second)]
    merged, whole = halves[0].merge(halves[1]).result(), compared(PAIRS, [codes], 6, GRID)
    for name in Geometry.__dataclass_fields__:
        assert np.allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12), name
    assert np.array_equal(merged.images, whole.images)


def test_the_support_holds_its_share_and_no_less():
    weight = np.array([[4.0, 3, 2, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    assert supports(weight, 0.7).tolist() == [[True, True, False, False, False], [True] * 5, [False] * 5]  # fmt: skip # noqa: E501
    sizes = [supports(weight, mass)[0].sum() for mass in (0.1, 0.5, 0.8, 1.0)]
    assert sizes == [1, 2, 3, 4]


def test_a_hole_belongs_to_the_region():
    parent = np.ones((1, 8, 8), bool)
    parent[0, 2:6, 2:6] = False
    child = np.zeros((1, 8, 8), bool)
    child[0, 2, 2] = True
    own, region = around_child(child.reshape(1, -1), parent.reshape(1, -1), (8, 8))
    assert region.all() and own.sum() == 48


def test_intervals_cover_and_never_close():
    lot = np.random.default_rng(0)
    assert around(np.array([5.0]), np.array([5.0]), np.array([5.0]))[0, 0] < 0.9
    hits = 0
    for _ in range(400):
        x = lot.beta(2, 1, 40)
        low, high = around(np.array([40.0]), x[None].sum(1), (x[None] ** 2).sum(1))[0]
        hits += low <= 2 / 3 <= high
    assert hits / 400 > 0.92


def test_few_images_have_no_kind_and_stricter_rules_call_fewer():
    found = compared(PAIRS, [street(images=4)], 6, GRID)
    assert set(Kinds()(found)) == {""}
    whole = compared(PAIRS, [street()], 6, GRID)
    assert Kinds(overlap=1.0)(whole)[0] == "part-of"
    assert Kinds(inside=1.0)(replace(whole, inside=whole.inside - 0.01))[1] == "beside"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Kinds(overlap=0.0),
            "Kinds needs overlap and inside above 0, at most 1; it got 0.0 and 0.75.",
        ),
        (
            lambda: SupportPairs(PAIRS, 3, GRID),
            "SupportPairs compares units 0 to 2; it got pairs of 0 to 5. Use the dictionary that "
            "they were found with.",
        ),
        (
            lambda: SupportPairs(PAIRS, 6, GRID, mass=0.0),
            "SupportPairs needs a mass above 0, at most 1, and a floor of 0 or more; it got 0.0 "
            "and 0.001.",
        ),
        (
            lambda: compared(PAIRS, [street(images=1)], 6, (10, 12)),
            "SupportPairs needs codes over 6 units on a grid of 10 × 12; it got 6 units and 144 "
            "positions.",
        ),
        (
            lambda: SupportPairs(PAIRS, 6, GRID).merge(SupportPairs(PAIRS[:1], 6, GRID)),
            "SupportPairs merges sums of the same pairs by the same settings; these differ. "
            "Compare the same in both.",
        ),
    ],
    ids=["rule", "units", "mass", "grid", "merge"],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == said
