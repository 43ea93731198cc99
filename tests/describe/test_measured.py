from dataclasses import replace
from math import cos, isnan, pi, sin

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES, FAMILIES
from legenda.core.sheet import Sheet, constant, reordered, shuffled
from legenda.describe.measured import NAMES, Measured, frames, of_pictures, shadows
from tests.measure.drawings import bar, ellipse, painted

COUNT = len(NAMES)
FREE = torch.zeros(COUNT, COUNT, dtype=torch.bool)
EVEN = torch.ones(COUNT, dtype=torch.float64)
PLAIN = Measured(EVEN, FREE)


def series(rows=6, steps=8, noise=0.02, seed=0, **moves):
    """Measurements of rows along which each of `moves` grows evenly by so many spreads."""
    lot = torch.Generator().manual_seed(seed)
    values = noise * torch.randn(rows, steps, COUNT, generator=lot, dtype=torch.float64)
    values += 2 + torch.rand(rows, 1, COUNT, generator=lot, dtype=torch.float64)
    for name, amount in moves.items():
        values[..., NAMES.index(name)] += amount * torch.linspace(0, 1, steps).double()
    return values


def said(answers):
    return {(one.attribute, one.direction, one.abstained) for one in answers}


# the equations, written slowly


def slow_row(v, period, spread):
    """Start, end, (1) and (2) of one attribute in one row."""
    there = [i for i, one in enumerate(v) if not isnan(one)]
    if not there:
        return [float("nan")] * 4
    u = np.array([v[i] for i in there])
    if period:
        u = np.unwrap(u, period=period)
    if len(there) < 4:
        return [u[0], u[-1], float("nan"), float("nan")]
    rho = 0.0 if len(set(u)) == 1 else float(spearmanr(u, there).statistic)
    slopes = [
        (u[b] - u[a]) / (there[b] - there[a])
        for a in range(len(there)) for b in range(a + 1, len(there))
    ]  # fmt: skip
    shift = float(np.median(slopes)) * (there[-1] - there[0])
    return [u[0], u[-1], rho, abs(rho) * shift / spread]


def slow_mean(rows, period):
    """Several rows of one attribute as one."""
    rows = [list(row) for row in rows]
    if sum(not isnan(row[3]) for row in rows) <= len(rows) / 2:
        return [float("nan")] * 4
    known = [row[0] for row in rows if not isnan(row[0])]
    if period:
        turn = 2 * pi / period
        middle = np.arctan2(np.mean([sin(turn * s) for s in known]), np.mean([cos(turn * s) for s in known])) / turn % period  # fmt: skip # noqa: E501
        for row in rows:
            if not isnan(row[0]):
                k = min(range(-3, 4), key=lambda k, s=row[0]: abs(s + k * period - middle))
                row[0], row[1] = row[0] + k * period, row[1] + k * period
    return [float(np.nanmean([row[i] for row in rows])) for i in range(4)]


def slow_follows(describer, means):
    """Attributes that are lacking, or that follow from others."""
    far = [0.0 if isnan(one[3]) else abs(one[3]) for one in means]
    here = [not isnan(one[3]) for one in means]
    at = NAMES.index
    whole = {at(n) for n in ("brightness", "contrast", "texture")} if here[at("size")] else set()
    casting = [a for a in range(COUNT) if here[a] and a not in whole]
    found = whole | {b for a in casting for b in range(COUNT) if describer.shadows[a, b]}
    thinner = max(far[at("size")], far[at("stroke")])
    if thinner >= describer.least_moved:
        pale = [at(n) for n in ("object_brightness", "saturation", "warmth")]
        found |= {b for b in pale if far[b] <= thinner}
    return found | {a for a in range(COUNT) if not here[a]}


def slow_answer(describer, rows):
    """What some rows say, attribute by attribute."""
    means = []
    for a, one in enumerate(ATTRIBUTES.values()):
        each = [slow_row(row[:, a], one.circular, float(describer.spread[a])) for row in rows]
        means.append(slow_mean(each, one.circular))

    def weight(name):
        a = NAMES.index(name)
        return strength[a] * (0 if isnan(means[a][2]) else abs(means[a][2]))

    strength = [0.0 if b in slow_follows(describer, means) else abs(means[b][3]) for b in range(COUNT)]  # fmt: skip # noqa: E501
    most = max(range(COUNT), key=lambda a: (strength[a], -a))
    family = next(names for names in FAMILIES.values() if NAMES[most] in names)
    best = most
    for plain in [NAMES.index(n) for n in ("background", "brightness", "hue", "light_x") if n in family]:  # fmt: skip # noqa: E501
        if strength[plain] >= strength[most] / 2 and abs(means[plain][2]) >= describer.least_trend:
            best = plain
            break
    facts = [NAMES[a] for a in sorted(range(COUNT), key=lambda a: (a != best, -strength[a], a)) if strength[a] >= describer.least_moved / 2]  # fmt: skip # noqa: E501
    start, end, steady, _ = means[best]
    if strength[most] < describer.least_moved:
        return "", 0, "nothing moves visibly", facts, means
    if strength[best] < describer.least_moved:
        labels = [ATTRIBUTES[NAMES[a]].label for a in (most, best)]
        return "", 0, f"{labels[0]} moves, but {labels[1]}, the plain word for it, does not visibly", facts, means  # fmt: skip # noqa: E501
    if abs(steady) < describer.least_trend or (end > start) != (steady > 0):
        return "", 0, "nothing moves steadily one way", facts, means
    by_family = {f: max((weight(n), n) for n in names) for f, names in FAMILIES.items()}
    own = next(family for family, names in FAMILIES.items() if NAMES[best] in names)
    if by_family[own][0] ** 2 / sum(m**2 for m, _ in by_family.values()) < describer.least_share:
        rival = max(value for family, value in by_family.items() if family != own)[1]
        labels = ATTRIBUTES[NAMES[best]].label, ATTRIBUTES[rival].label
        return "", 0, f"{labels[0]} and {labels[1]} change at once", facts, means
    return NAMES[best], 1 if steady > 0 else -1, "", facts, means


@pytest.mark.parametrize("per", [1, 2])
def test_equals_its_literal_twin(per):
    lot = torch.Generator().manual_seed(3)
    spread = 0.5 + torch.rand(COUNT, generator=lot).double()
    spread[NAMES.index("hue")], spread[NAMES.index("orientation")] = 30.0, 20.0
    spread[NAMES.index("count")] = torch.nan
    follows = (torch.rand(COUNT, COUNT, generator=lot) < 0.02).triu(1)
    describer = Measured(spread, follows, least_trend=0.81, per_look=per)  # no trend is just this
    kinds = [{"x": 3}, {"y": -2, "size": 1.9}, {"texture": 0.3}, {"hue": 90}, {}, {"stroke": -4, "balance": 3}, {"background": 2, "background_warmth": 2.5}, {"texture": 2}, {"x": 3, "y": 3, "size": 3}]  # fmt: skip # noqa: E501
    seen = set()
    for i, moves in enumerate(kinds):
        values = series(6, 7, 0.15, seed=i, **moves)
        values[..., NAMES.index("hue")] = (values[..., NAMES.index("hue")] + 100 * i) % 360
        values[torch.rand(values.shape, generator=lot) < 0.12] = torch.nan
        values[:4, :, NAMES.index("convexity")] = torch.nan
        if i == 7:  # no object, so that the picture is all there is
            values[..., NAMES.index("size")] = torch.nan
        if i == 4:  # to and fro
            values[..., NAMES.index("light_x")] += torch.tensor([0, 2, 1, 4, 1, 5, 3.0])
        answers = describer.looks(values)
        assert len(answers) == 6 // per
        for look, answer in enumerate(answers):
            rows = values[look * per : (look + 1) * per].numpy()
            attribute, direction, why, facts, means = slow_answer(describer, rows)
            assert (answer.attribute, answer.direction, answer.abstained) == (attribute, direction, why)  # fmt: skip # noqa: E501
            assert [f.attribute for f in answer.facts] == facts
            for f in answer.facts:
                start, end, steady, moved = means[NAMES.index(f.attribute)]
                assert (f.start, f.end, f.trend, f.effect) == pytest.approx((start, end, steady, abs(moved)))  # fmt: skip # noqa: E501
            seen.add(why.rpartition("change")[1] or why)
    every = {"", "change", "nothing moves visibly", "nothing moves steadily one way"}
    assert seen == every if per == 1 else {""} < seen


# laws


def test_many_is_one_by_one_in_any_batch(monkeypatch):
    sheets = torch.stack([series(seed=i, x=i) for i in range(5)])
    together = PLAIN.many(sheets)
    assert together == [PLAIN.looks(one) for one in sheets]
    monkeypatch.setattr("legenda.describe.measured.CHUNK", 7)
    assert PLAIN.many(sheets) == together


def test_steps_reversed_say_the_opposite():
    values = series(size=3)
    there, back = PLAIN.looks(values), PLAIN.looks(values.flip(1))
    assert {a.direction for a in there} == {1} and {a.direction for a in back} == {-1}
    for one, other in zip(there, back, strict=True):
        assert (one.attribute, one.start, one.end) == (other.attribute, other.end, other.start)
        assert one.facts[0].start == pytest.approx(other.facts[0].end)


def test_sheets_without_an_order_are_silent():
    values = series(20, x=3)
    assert {a.attribute for a in PLAIN.looks(values)} == {"x"}
    for order in (shuffled, constant):
        answers = PLAIN.looks(reordered(values, order(values, 1)))
        assert sum(not a.none for a in answers) <= 1
    assert said(PLAIN.looks(reordered(values, constant(values)))) == {("", 0, "nothing moves visibly")}  # fmt: skip # noqa: E501


def test_more_rows_a_look_are_steadier():
    values = series(48, noise=0.45, seed=2, x=2)
    shares = []
    for per in (1, 4, 12):
        answers = replace(PLAIN, per_look=per).looks(values)
        assert len(answers) == 48 // per
        effects = [next(f.effect for f in a.facts if f.attribute == "x") for a in answers]
        shares.append(float(np.std(effects)))
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("least_moved", 4.0, "nothing moves visibly"),
        ("least_trend", 1.1, "nothing moves steadily one way"),
        ("least_share", 0.95, "horizontal position and size change at once"),
    ],
)
def test_larger_limits_name_less(setting, value, why):
    values = series(x=3, size=1)
    assert said(PLAIN.looks(values)) == {("x", 1, "")}
    assert said(replace(PLAIN, **{setting: value}).looks(values)) == {("", 0, why)}


def test_the_share_is_that_of_the_attribute_that_is_named():
    """Size moves a little less but more steadily: its share must not speak for x."""
    values = series(1, noise=0.0, size=2.0)
    values[..., NAMES.index("x")] += 2.25 * torch.tensor([0, 2, 1, 3, 5, 4, 7, 6.0]).double() / 7
    shaky = replace(PLAIN, least_share=0.5)
    (answer,) = shaky.looks(values)
    lead, other = answer.facts
    assert (lead.attribute, other.attribute) == ("x", "size") and lead.effect > other.effect
    assert lead.effect * lead.trend < other.effect * other.trend
    assert answer.abstained == "horizontal position and size change at once"


def test_what_follows_from_another_is_not_named_beside_it():
    follows = FREE.clone()
    follows[NAMES.index("size"), NAMES.index("background")] = True
    describer, values = Measured(EVEN, follows), series(size=1, background=3)
    assert said(describer.looks(values)) == {("size", 1, "")}
    answer = describer.whole(values, describer.looks(values)[0])
    assert [f.attribute for f in answer.facts] == ["size"]
    assert "background" not in answer.text
    values[..., NAMES.index("size")] = torch.nan  # unless the other cannot be seen
    assert said(describer.looks(values)) == {("background", 1, "")}


def test_the_plain_word_stands_for_its_family():
    """A ground that grows bright changes its colour more: it is named by its brightness."""
    assert said(PLAIN.looks(series(background=2, background_warmth=3))) == {("background", 1, "")}
    assert said(PLAIN.looks(series(background=1, background_warmth=3))) == {("background_warmth", 1, "")}  # fmt: skip # noqa: E501


def test_a_plain_word_that_is_too_small_is_not_taken_for_stillness():
    values = series(noise=0.001, background=0.45, background_warmth=0.8)
    one, other = (ATTRIBUTES[name].label for name in ("background_warmth", "background"))
    assert said(PLAIN.looks(values)) == {
        ("", 0, f"{one} moves, but {other}, the plain word for it, does not visibly")
    }
    values = series(noise=0.001, background=0.45, background_warmth=0.49)
    assert said(PLAIN.looks(values)) == {("", 0, "nothing moves visibly")}


def test_shadows_are_of_later_attributes_that_go_along():
    lot = torch.Generator().manual_seed(0)
    values = torch.randn(40, COUNT, generator=lot).double()
    values[:, NAMES.index("brightness")] = values[:, NAMES.index("size")] ** 3
    found = shadows(values).nonzero().tolist()
    assert found == [[NAMES.index("size"), NAMES.index("brightness")]]
    assert of_pictures(values, least_share=0.7).least_share == 0.7
    assert of_pictures(values).shadows.equal(shadows(values))


# numbers of all rows


def test_whole_states_the_numbers_of_all_rows():
    values = series(5, noise=0.0, x=3)
    one = PLAIN.looks(values)[2]
    whole = PLAIN.whole(values, one)
    at = values[..., NAMES.index("x")]
    assert whole.facts[0].start == pytest.approx(float(at[:, 0].mean()))
    assert whole.facts[0].end == pytest.approx(float(at[:, -1].mean()))
    assert whole.text == (
        f"Horizontal position goes from left to right: {at[:, 0].mean():.2f} to "
        f"{at[:, -1].mean():.2f} of the width, in 5 of 5 rows."
    )
    assert whole.direction == one.direction and whole.facts[0].start != one.facts[0].start


def test_whole_counts_rows_that_go_the_same_way():
    values = series(5, noise=0.0, x=3)
    values[1] = values[1].flip(0)
    assert PLAIN.whole(values, PLAIN.looks(values)[0]).text.endswith("in 4 of 5 rows.")


@pytest.mark.parametrize("rest", ["opposite", "lacking"])
def test_an_answer_stands_where_all_rows_say_otherwise(rest):
    values = series(5, noise=0.0, x=3)
    if rest == "opposite":
        values[1:] = values[1:].flip(1)
    else:
        values[1:, :, NAMES.index("x")] = torch.nan
    one = PLAIN.looks(values)[0]
    assert one.attribute == "x" and PLAIN.whole(values, one) == one


def test_hues_on_both_sides_of_red_mean_red():
    values = series(2, noise=0.0)
    at = NAMES.index("hue")
    path = torch.linspace(0, 60, 8).double()
    values[..., at] = (torch.tensor([[350.0], [10.0]]).double() + path) % 360
    spread = EVEN.clone()
    spread[at] = 20
    (answer,) = Measured(spread, FREE, per_look=2).looks(values)
    assert (answer.attribute, answer.start, answer.end) == ("hue", "red", "yellow")
    assert answer.facts[0].start % 360 == pytest.approx(0, abs=1e-9)
    assert answer.facts[0].end - answer.facts[0].start == pytest.approx(60)


# planted truth, in pictures


def drawn(place, paint=(1.0, 1.0, 1.0), ground=(0.0, 0.0, 0.0), rows=(26, 32, 38)):
    """Rows of an ellipse, one at each height, along which `place` moves it."""
    found = [
        torch.stack(
            [
                painted(ellipse(y=y, **place(t)), paint, ground)[0]
                for t in torch.linspace(-1, 1, 6).tolist()
            ]
        )  # fmt: skip # noqa: E501
        for y in rows
    ]
    return Sheet(torch.stack(found).float(), torch.linspace(-1, 1, 6))


SPREAD = torch.tensor([{"x": 0.1, "size": 0.03, "orientation": 20, "hue": 40}.get(n, 0.2) for n in NAMES]).double()  # fmt: skip # noqa: E501
SEES = Measured(SPREAD, FREE)


@pytest.mark.parametrize(
    ("place", "attribute", "direction"),
    [
        (lambda t: {"x": 32 + 9 * t, "a": 7, "b": 7}, "x", 1),
        (lambda t: {"x": 32 - 9 * t, "a": 7, "b": 7}, "x", -1),
        (lambda t: {"a": 9 + 3 * t, "b": 9 + 3 * t}, "size", 1),
        (lambda t: {"a": 14, "b": 7, "turn": 40 * t}, "orientation", 1),
    ],
)
def test_names_what_moves_in_pictures(place, attribute, direction):
    sheet = drawn(place)
    assert said(SEES(sheet)) == {(attribute, direction, "")}
    assert SEES(sheet) == SEES.looks(frames(sheet))


def test_recolouring_the_anchors_changes_no_answer_about_place():
    def place(t):
        return {"x": 32 + 9 * t, "a": 7, "b": 7}

    plain = SEES(drawn(place))
    other = SEES(drawn(place, paint=(0.9, 0.3, 0.1), ground=(0.1, 0.1, 0.3)))
    assert [a.text for a in plain] == [a.text for a in other]


def test_silence_has_its_reason():
    still = drawn(lambda t: {"a": 8, "b": 8})
    assert said(SEES(still)) == {("", 0, "nothing moves visibly")}
    both = drawn(lambda t: {"x": 32 + 6 * t, "a": 8 + 2.2 * t, "b": 8 + 2.2 * t})
    (why,) = {a.abstained for a in SEES(both)}
    assert {"horizontal position", "size"} == set(why.removesuffix(" change at once").split(" and "))  # fmt: skip # noqa: E501


def test_every_number_of_a_sentence_can_be_measured_again():
    sheet = drawn(lambda t: {"x": 32 + 9 * t, "a": 7, "b": 7})
    again = frames(sheet)[..., NAMES.index("x")]
    for row, answer in enumerate(SEES(sheet)):
        first, last = (f"{float(again[row, s]):.2f}" for s in (0, -1))
        assert answer.text == f"Horizontal position goes from left to right: {first} to {last} of the width."  # fmt: skip # noqa: E501
        assert (answer.facts[0].start, answer.facts[0].end) == (again[row, 0], again[row, -1])


def test_frames_without_an_object_are_left_out():
    sheet = drawn(lambda t: {"x": 32 + 9 * t, "a": 7, "b": 7})
    sheet.images[:, 0] = 0.0
    first = frames(sheet)[:, 1, NAMES.index("x")]
    assert [a.facts[0].start for a in SEES(sheet)] == first.tolist()
    bare = Sheet(painted(bar(0, 0, 1, 1)).expand(2, 6, -1, -1, -1).float() * 0, torch.arange(6.0))
    assert said(SEES(bare)) == {("", 0, "nothing moves visibly")}
    assert all(isinstance(a, Answer) and a.none for a in SEES(bare))
