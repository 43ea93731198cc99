import itertools
import re
import sys
from xml.etree import ElementTree

import pytest

from legenda.show import charts
from legenda.show.chart_marks import STROKES, _apart, _stacked
from legenda.show.chart_svg import ROLES, SERIES, picture
from legenda.show.charts import bars, certainty_histogram, curve_chart, histogram
from legenda.show.palette import rgb
from tests.atlas.made import HOSTILE
from tests.show.test_page import Tags

X = [0, 0.25, 0.5, 0.75, 1]
CURVE = {"name": "m2ib", "x": X, "y": [1, 0.6, 0.3, 0.2, 0.1], "low": [0.9, 0.5, 0.2, 0.1, 0],
         "high": [1, 0.7, 0.4, 0.3, 0.2], "n": 16}  # fmt: skip
RANDOM = {"name": "random", "x": X, "y": [1, 0.8, 0.6, 0.4, 0.2], "n": 16, "control": True}
ROW = {"name": "M2IB", "value": 0.3, "low": 0.2, "high": 0.4, "control": 0.6, "control_low": 0.5,
       "control_high": 0.7, "n": 1600}  # fmt: skip


def drawn(chart):
    """The SVG of a chart, as a tree."""
    return ElementTree.fromstring(re.search(r"<svg.*?</svg>", chart, re.S)[0])


def cells(chart):
    """The rows of the table of a chart."""
    rows = re.findall(r"<tr>(.*?)</tr>", chart, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


@pytest.fixture
def without_altair(monkeypatch):
    """As where the extra is not installed."""
    charts._drawn.cache_clear()
    monkeypatch.setitem(sys.modules, "altair", None)
    yield
    charts._drawn.cache_clear()


ALL = {
    "curves": lambda: curve_chart("Deletion", "removed", "cosine left", [CURVE, RANDOM]),
    "bars": lambda: bars("All systems", [ROW], "cosine"),
    "certainty": lambda: certainty_histogram({"named": [0, 3, 4], "abstained": [2, 1, 0]}),
}


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_chart_takes_colours_and_letters_from_the_page_and_says_what_it_shows(make):
    root, text = drawn(make()), make()
    assert root.get("role") == "img" and root.get("viewBox").startswith("0 0 4")
    names = [f"{one}" for one in root.get("aria-labelledby").split()]
    assert [root[0].tag, root[1].tag] == ["title", "desc"]
    assert [root[0].get("id"), root[1].get("id")] == names and root[1].text
    colours = {one.get(k) for one in root.iter() for k in ("fill", "stroke")} - {None}
    assert colours <= {*ROLES.values(), "none", "transparent"}, colours
    assert "font-family" not in text and "style=" not in text and "<script" not in text
    assert root.get("width") is None and root.get("height") is None


def test_curves_differ_by_stroke_and_shape_and_carry_their_names():
    names = ["m2ib", "grad-cam", "saliency", "rise"]
    text = curve_chart("D", "x", "y", [{**CURVE, "name": n} for n in names] + [RANDOM])
    root = drawn(text)
    said = [one.text for one in root.iter("text")]
    assert set(names) <= set(said) and "random" in said
    lines = [p for p in root.iter("path") if p.get("stroke-dasharray")]
    dashes = [line.get("stroke-dasharray") for line in lines]
    assert len(set(dashes)) == 5 and len({line.get("stroke") for line in lines}) == 5
    assert [d.replace(",", " ") for d in dashes[1:4]] == [" ".join(map(str, s)) for s in STROKES[1:]]  # fmt: skip # noqa: E501


def test_an_axis_spans_the_values_and_not_the_places():
    root = drawn(curve_chart("D", "x", "y", [{"name": "n", "x": [0, 900], "y": [0.02, 0.03]}]))
    marks = {one.text for one in root.iter("text")}
    assert {"0.020", "0.030"} <= marks and "900" not in marks


def test_the_numbers_stand_below_with_intervals_and_n():
    rows = cells(ALL["curves"]())
    assert rows[0] == ["curve", "removed", "cosine left", "95 % interval", "n"]
    assert rows[3] == ["m2ib", "0.5", "0.3", "[0.2, 0.4]", "16"]
    assert rows[6] == ["random (control)", "0", "1", "", "16"]
    assert cells(ALL["bars"]())[1] == ["M2IB", "0.3 [0.2, 0.4]", "0.6 [0.5, 0.7]", "1,600"]
    assert cells(ALL["certainty"]())[:2] == [
        ["certainty", "named (n = 7)", "abstained (n = 3)"], ["0 to 0.333", "0", "2"],
    ]  # fmt: skip


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_without_altair_the_same_numbers_stand_alone(make, without_altair):
    text = make()
    assert "<svg" not in text and "<details" not in text
    assert "Charts need Altair (pip install legenda[plots]); here are the numbers." in text
    assert len(cells(text)) > 1


def test_with_and_without_altair_the_numbers_are_the_same(monkeypatch):
    with_it = cells(ALL["curves"]())
    charts._drawn.cache_clear()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert cells(ALL["curves"]()) == with_it
    charts._drawn.cache_clear()


def test_what_is_unknown_is_a_dash_and_what_is_empty_is_said():
    text = bars("B", [{"name": "a", "value": 0.1}, {"name": "b", "value": None}], "v")
    assert cells(text)[1:] == [["a", "0.1", "–", "–"], ["b", "–", "–", "–"]] and "<svg" in text
    for empty in (bars("B", []), curve_chart("C", "x", "y", []), certainty_histogram({})):
        assert "There is nothing to draw." in empty and "<svg" not in empty and "<td" not in empty
    assert "There is nothing to draw." in certainty_histogram({"named": [0, 0]})


@pytest.mark.parametrize("most", [1, 2, 3])
def test_what_is_counted_has_whole_ticks(most):
    root = drawn(certainty_histogram({"named": [0, most, 1]}))
    said = [one.text for one in root.iter() if one.tag == "text" and one.text]
    shares = said.index("certainty")  # those of the other axis stand before its title
    ticks = [s for s in said[shares:] if s.replace(".", "").isdigit()]
    assert ticks == [str(i) for i in range(most + 1)]


def test_hostile_names_are_only_text():
    text = curve_chart(HOSTILE, HOSTILE, HOSTILE, [{**CURVE, "name": HOSTILE}])
    text += bars(HOSTILE, [{**ROW, "name": HOSTILE}], HOSTILE)
    text += histogram(HOSTILE, [0, 1, 2], {HOSTILE: [1, 2]}, HOSTILE)
    tags = Tags(text)
    assert not tags.of("script") and not any("onerror" in a for _, a in tags.found)
    assert "\u202e" not in text and "{{ 7*7 }}" in text and text.count("&lt;script&gt;") > 6


def test_ids_are_unlike_those_of_other_charts():
    text = "".join(make() for make in ALL.values())
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == 6 and len(set(ids)) == 6


def test_the_same_numbers_are_the_same_drawing():
    first = ALL["curves"]()
    charts._drawn.cache_clear()
    assert ALL["curves"]() == first


def test_series_stand_out_from_the_light_and_from_the_dark_paper():
    def light(code):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb(code)]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) + 0.05

    for series, paper in itertools.product(SERIES[1:], ("#fcfcfa", "#15171a")):
        ratio = light(ROLES[series]) / light(paper)
        assert max(ratio, 1 / ratio) >= 3, (series, paper, ratio)


def test_labels_are_apart_and_near_their_curves():
    placed = _apart([0.1, 0.12, 0.11, 0.9], 0.05)
    gaps = [b - a for a, b in itertools.pairwise(sorted(placed))]
    assert min(gaps) >= 0.049 and placed[3] == pytest.approx(0.9)
    assert sorted(range(4), key=placed.__getitem__) == [0, 2, 1, 3]
    assert sum(placed[:3]) == pytest.approx(0.33)


def test_kinds_are_stacked_and_none_hides_another():
    bins = [{"kind": k, "low": low, "count": 1 + k + low} for k in range(2) for low in range(2)]
    assert [(b["start"], b["end"]) for b in _stacked(bins)] == [(0, 1), (0, 2), (1, 3), (2, 5)]


def test_a_long_curve_is_thinned_and_keeps_its_end():
    x = list(range(1001))
    thin = charts._thin({"name": "n" * 40, "x": x, "y": x})
    assert len(thin["x"]) <= 201 and thin["x"][-1] == 1000 and thin["low"][-1] is None
    assert thin["name"] == "n" * 15 + "…"
    text = curve_chart("long", "x", "y", [{"name": "n", "x": x, "y": x}])
    assert len(cells(text)) == 401 and "The first 400 of 1001 rows." in text


def test_nothing_but_shapes_is_taken_over():
    bad = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="x()">'
        "<script>x()</script>"
        '<a href="javascript:x()"><text>in</text></a><g onclick="x()">'
        '<text font-family="F">t</text>'
        '<image href="http://x"/><foreignObject/></g></svg>'
    )
    made = picture(bad, "<b>", "said & done")
    root = ElementTree.fromstring(made)
    assert [one.tag for one in root.iter()] == ["svg", "title", "desc", "g", "text"]
    assert root[0].text == "<b>" and root[1].text == "said & done"
    assert not any(k.startswith("on") or "font" in k for one in root.iter() for k in one.attrib)
