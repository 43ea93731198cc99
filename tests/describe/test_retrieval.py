from dataclasses import replace
from math import ceil

import pytest
import torch
from torch.nn.functional import normalize

from legenda.core.sheet import Sheet
from legenda.describe.retrieval import Retrieval, named, risen, thirds
from legenda.errors import BadInput
from tests.describe.test_lmm import moving

WIDTH = 32
LOT = torch.Generator().manual_seed(0)
BASIS = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=LOT, dtype=torch.float64))[0]
ENDS = {"dark": (0, -1), "bright": (0, 1), "left": (1, -1), "right": (1, 1), "top": (2, -1), "bottom": (2, 1)}  # fmt: skip # noqa: E501


def toy(images):
    """An encoder that sees brightness and place, beside something that is always there."""
    light = images.double().mean(1)
    axis = torch.linspace(-1, 1, light.shape[-1], dtype=torch.float64)
    whole = light.sum((1, 2)) + 1e-9
    seen = [light.mean((1, 2)) * 4, (light.sum(1) * axis).sum(1) / whole, (light.sum(2) * axis).sum(1) / whole]  # fmt: skip # noqa: E501
    return torch.stack(seen, 1) @ BASIS[:3] + 2 * BASIS[9]


def vocabulary(more=40):
    """The ends of what the toy sees, and words that mean nothing to it; all share a part."""
    lot = torch.Generator().manual_seed(1)
    known = torch.stack([way * BASIS[axis] for axis, way in ENDS.values()])
    others = normalize(torch.randn(more, WIDTH, generator=lot, dtype=torch.float64), dim=1)
    words = (*ENDS, *(f"w{i}" for i in range(more)))
    return words, normalize(torch.cat([known, others]) + 0.7 * BASIS[20], dim=1)


def toy_retrieval(**more):
    return Retrieval(*vocabulary(), toy, **more)


def twin(method, frames, seed):
    """Equations (1) to (4), in loops."""
    rows, steps, _ = frames.shape
    words = [w / w.norm() for w in method.vectors]
    mean = sum(words) / len(words)
    words = [(w - mean) / (w - mean).norm() for w in words]
    third = max(1, steps // 3)

    def rises(orders):
        delta = torch.zeros(frames.shape[2], dtype=torch.float64)
        for r in range(rows):
            row = [frames[r, int(i)] for i in orders[r]]
            delta += (sum(row[-third:]) / third - sum(row[:third]) / third) / rows
        return delta, [float(delta @ w) for w in words]

    delta, rise = rises([range(steps)] * rows)
    lot, null, left = torch.Generator().manual_seed(seed), [], method.draws
    while left:
        count = min(64, left)
        drawn = torch.rand(count, rows, steps, generator=lot, dtype=torch.float64).argsort(2)
        null += [max(map(abs, rises(order)[1])) for order in drawn]
        left -= count
    near = [r / float(delta.norm()) for r in rise]
    ranked = sorted(zip(method.words, near, strict=True), key=lambda one: -one[1])
    return ranked, max(map(abs, rise)), sorted(null)[ceil((method.draws + 1) * method.level) - 1]


def test_the_slow_twin_says_the_same():
    method, sheet = toy_retrieval(draws=99), moving("x", rows=3)
    frames = method.frames(sheet)
    found, (ranked, rise, chance) = method.moved(frames, 5), twin(method, frames, 5)
    assert (found.rise, found.chance) == pytest.approx((rise, chance))
    for got, wanted in ((found.end, ranked[:5]), (found.start, ranked[::-1][:5])):
        assert [w for w, _ in got] == [w for w, _ in wanted]
        assert [c for _, c in got] == pytest.approx([c for _, c in wanted])


@pytest.mark.parametrize(
    ("factor", "start", "end", "attribute"),
    [
        ("x", "left", "right", "x"),
        ("y", "top", "bottom", "y"),
        ("size", "dark", "bright", "brightness"),
    ],  # fmt: skip # noqa: E501
)
def test_a_planted_change_is_named(factor, start, end, attribute):
    method, sheet = toy_retrieval(rows=4), moving(factor, rows=8)
    answers = method(sheet)
    assert len(answers) == 5
    for answer in answers:
        assert (answer.start, answer.end) == (start, end)
        assert (answer.attribute, answer.direction) == (attribute, 1)
        assert answer.text == f"The pictures turn from “{start}” towards “{end}”."
    found = method.near(sheet)
    assert found.start[0][0] == start and found.end[0][0] == end and len(found.end) == 5
    assert found.named and found.p == 1 / 200 and found.end[0][1] > 0.9 > found.end[1][1]


def test_reversed_frames_swap_the_ends():
    method, sheet = toy_retrieval(rows=4), moving("x", rows=6)
    back = replace(sheet, images=sheet.images.flip(1))
    here, there = method.near(sheet), method.near(back)
    assert [w for w, _ in here.start] == [w for w, _ in there.end]
    assert [w for w, _ in here.end] == [w for w, _ in there.start]
    assert here.rise == pytest.approx(there.rise)
    for one, other in zip(method(sheet), method(back), strict=True):
        assert (one.attribute, one.direction) == (other.attribute, -other.direction) == ("x", 1)


def test_constant_and_shuffled_sheets_abstain():
    method, sheet = toy_retrieval(rows=4), moving("x", rows=8)
    for answer in method(sheet.constant()):
        assert answer.none and answer.abstained.startswith("no word comes nearer than when the fra")
    assert all(a.none for a in method(Sheet(torch.full((2, 8, 3, 8, 8), 0.5), torch.arange(8.0))))
    said = [a.none for seed in range(8) for a in toy_retrieval(samples=1, rows=8)(sheet.shuffled(seed))]  # fmt: skip # noqa: E501
    assert sum(said) >= 6


def test_by_chance_no_more_is_named_than_the_level_allows():
    method = toy_retrieval(draws=99, level=0.9)
    lot = torch.Generator().manual_seed(3)
    noise = torch.randn(300, 3, 8, WIDTH, generator=lot, dtype=torch.float64)
    found = [method.moved(normalize(one, dim=2), seed) for seed, one in enumerate(noise)]
    rate = sum(one.named for one in found) / 300
    assert 0.05 < rate < 0.15, "a tenth, but for the luck of 300 draws"
    assert sum(one.p <= 0.1 for one in found) == sum(one.named for one in found)


def test_frames_on_a_line_are_told_by_rises_where_cosines_cannot():
    method = toy_retrieval()
    line = torch.linspace(-0.2, 0.2, 8, dtype=torch.float64)[:, None] * BASIS[1] + BASIS[9]
    frames = line[None].expand(3, -1, -1)
    mixed = frames[:, [0, 5, 2, 7, 4, 1, 6, 3]]
    cosines = [(risen(f) / risen(f).norm() @ method.centred.T).abs().max() for f in (frames, mixed)]
    assert cosines[0] == pytest.approx(cosines[1])
    assert method.moved(frames).named and not method.moved(mixed).named


def test_a_common_part_of_all_words_changes_nothing():
    words, vectors = vocabulary()
    drift = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None] * BASIS[20]
    frames = normalize(drift + 3 * BASIS[9] + 0.2 * drift.flip(0)[:, :1] * BASIS[1], dim=1)[None]
    near = dict(Retrieval(words, vectors, toy, kept=46).moved(frames.expand(2, -1, -1)).end)
    plain = normalize(vectors, dim=1) @ normalize(risen(frames), dim=0)
    assert abs(sum(near.values()) / 46) < 0.1 < abs(float(plain.mean()))


def test_the_word_that_moves_further_names_what_has_no_name():
    assert named("frowning", "smiling", False) == ("smiling", 1)
    assert named("frowning", "smiling", True) == ("frowning", -1)
    assert named("large", "thing", False) == ("size", -1) == named("large", "thing", True)
    assert named("thing", "small", True) == ("size", -1)


def test_thirds_of_a_row():
    assert thirds(8).tolist() == [-0.5, -0.5, 0, 0, 0, 0, 0.5, 0.5]
    assert thirds(2).tolist() == [-1, 1] and thirds(9)[:3].sum() == pytest.approx(-1)


def test_two_frames_can_never_be_told_from_chance():
    two = moving("x", steps=2)
    assert all(a.none for a in toy_retrieval(rows=1)(two))


def test_what_cannot_be_used_is_refused():
    words, vectors = vocabulary()
    with pytest.raises(BadInput, match="two words or more and a vector for each; it got 45 words"):
        Retrieval(words[1:], vectors, toy)
    with pytest.raises(BadInput, match="a word embeds to NaN or infinity. Leave it out, or embed"):
        Retrieval(words, vectors * float("nan"), toy)
    with pytest.raises(BadInput, match=r"18 draws cannot tell a level of 0.95. Take at least 19."):
        Retrieval(words, vectors, toy, draws=18)
    Retrieval(words, vectors, toy, draws=19)
    with pytest.raises(
        BadInput, match="and a level between 0 and 1; it got samples=0, rows=3, kep"
    ):
        Retrieval(words, vectors, toy, samples=0)
    with pytest.raises(BadInput) as problem:
        Retrieval(words, vectors, lambda x: toy(x)[:, :9])(moving("x", rows=1))
    assert str(problem.value) == (
        "Retrieval needs 32 finite numbers for each of 8 frames; `embed` gave (8, 9). Embed words "
        "and pictures by one model."
    )
    with pytest.raises(
        BadInput, match="Retrieval compares the ends of a row; sprites/x has 1 fram"
    ):
        toy_retrieval()(moving("x", rows=1, steps=1))
