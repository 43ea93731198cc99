"""A hierarchy as a tree, an SVG, GraphML and a dict: all of it is there, and nothing runs."""

import io
import json
from xml.etree import ElementTree

import networkx
import pytest
from rich.console import Console

from legenda.errors import BadInput
from legenda.explain.hierarchy import hierarchy, of_plain
from legenda.show.graphml import graphml
from legenda.show.hierarchy import LIMITS, Limits, outline, plain, tree
from legenda.show.hierarchy_svg import LETTERS, cut, drawing, wide
from tests.explain.graphs import edges_of

NAMES = {0: "vehicle", 1: "car", 2: "red <car> & \x1b[31mblue", 3: "wheel", 4: "ship", 5: "Rad"}
PAIRS = {(1, 0): 0.9, (2, 1): 0.95, (3, 1): 0.8, (4, 0): 0.9, (3, 4): 0.85, (5, 3): 0.9}
KINDS = ["is-a", "is-a", "part-of", "is-a", "part-of", "beside"]
SVG = "{http://www.w3.org/2000/svg}"


def small():
    return hierarchy(edges_of(PAIRS, kinds=KINDS))


def broad(many=40):
    return hierarchy(edges_of({(child, 0): 0.9 for child in range(1, many + 1)}))


def printed(h, names=None, limits=LIMITS, width=200):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(tree(h, names, limits))
    return console.file.getvalue()


def test_the_tree_says_names_counts_and_support():
    said = printed(small(), NAMES)
    lines = said.splitlines()
    assert lines[0] == "6 units, 6 edges (0 more are implied), 1 root, 4 levels"
    assert "vehicle · 0  600 positions" in lines[1]
    (line,) = [one for one in lines if "car · 1" in one]
    assert line.endswith(
        "car · 1  is a: P 0.88 [0.83, 0.89], by weight 0.9, lift 3 [2, 4], 500 positions"
    )
    assert sum("part of:" in one for one in lines) == 2


def test_a_node_with_two_parents_is_whole_once():
    lines = printed(small(), NAMES).splitlines()
    assert [one.split("wheel")[1][:17] for one in lines if "wheel" in one] == [" · 3  part of: P ", " · 3 (see above) "]  # fmt: skip # noqa: E501
    assert sum("Rad" in one for one in lines) == 1, "what is below it is not said again"
    assert lines.index(next(x for x in lines if "Rad" in x)) == lines.index(next(x for x in lines if "wheel" in x)) + 1  # fmt: skip # noqa: E501


def test_names_cannot_write_to_the_terminal():
    assert "\x1b" not in printed(small(), NAMES)
    assert "[bold]x[/bold] · 0" in printed(small(), {0: "[bold]x[/bold]"}), "nor is it markup"


def test_limits_say_what_they_leave_out():
    assert "… and 28 more" in printed(broad())
    assert printed(broad()).count("unit ") == 13
    deep = hierarchy(edges_of({(i + 1, i): 0.9 for i in range(9)}))
    said = printed(deep, limits=Limits(depth=3))
    assert said.count("unit ") == 4 and said.rstrip().endswith("… and 1 more")
    many = hierarchy(edges_of({(i + 30, i): 0.9 for i in range(30)}))
    assert "… and 6 more" in printed(many)
    assert len(outline(broad(), Limits(width=100))) == 41


def test_cycles_and_synonyms_are_told():
    loop = {(0, 1): 0.9, (1, 0): 0.8, (2, 0): 0.9}
    merged = printed(hierarchy(edges_of(loop)), NAMES)
    assert "cycle of vehicle · 0, car · 1: merged" in merged and "also 1" in merged
    assert "cut 1 → 0" in printed(hierarchy(edges_of(loop), cycles="cut"), NAMES)


def test_the_svg_stands_alone_and_says_itself():
    text = drawing(small(), NAMES)
    root = ElementTree.fromstring(text)
    said = "6 units, 6 edges (0 more are implied), 1 root, 4 levels"
    assert root.find(f"{SVG}title").text == said
    assert root.find(f"{SVG}desc").text == "Roots: vehicle · 0 with 5 below it."
    assert root.get("role") == "img" and root.get("aria-labelledby") == "hierarchy-title hierarchy-desc"  # fmt: skip # noqa: E501
    assert "prefers-color-scheme: dark" in text and "var(--ink)" in text
    for banned in ("<script", "href", "url(", "@import", "<foreignObject", "onload"):
        assert banned not in text
    assert text.count("http") == 1, "nothing but the name space"


def test_the_svg_draws_each_node_once_and_each_edge():
    root = ElementTree.fromstring(drawing(small(), NAMES))
    assert len(root.findall(f"{SVG}g")) == 6
    paths = [one.get("class") for one in root.iter(f"{SVG}path")]
    assert sorted(paths) == sorted(KINDS)
    assert "red <car> & " in "".join(t.text for t in root.iter(f"{SVG}text"))


def test_boxes_of_a_level_share_a_column_and_none_overlap():
    lots = hierarchy(edges_of({(i, (i - 1) // 3): 0.9 for i in range(1, 40)}))
    root = ElementTree.fromstring(drawing(lots))
    boxes = [r for r in root.iter(f"{SVG}rect") if r.get("x")]
    spots = {(r.get("x"), r.get("y")) for r in boxes}
    assert len(boxes) == 40 == len(spots)
    by_column: dict = {}
    for r in boxes:
        by_column.setdefault(float(r.get("x")), []).append(float(r.get("y")))
    assert [len(c) for c in by_column.values()] == [1, 3, 9, 27]
    for column in by_column.values():
        column.sort()
        assert all(b - a >= 20 for a, b in zip(column, column[1:], strict=False))
    width, height = float(root.get("width")), float(root.get("height"))
    for r in boxes:
        assert 0 <= float(r.get("x")) and float(r.get("x")) + float(r.get("width")) <= width
        assert 0 <= float(r.get("y")) <= height - 20


def test_edges_run_to_the_right_and_their_kinds_are_told():
    """Unit 3 is below 0 and below 2, which is two levels further down."""
    deep = hierarchy(edges_of({(1, 0): 0.9, (2, 1): 0.9, (4, 2): 0.9, (4, 3): 0.9}, [90, 50, 20, 99, 5]))  # fmt: skip # noqa: E501
    for path in ElementTree.fromstring(drawing(deep)).iter(f"{SVG}path"):
        numbers = path.get("d").replace("M", "").replace("C", " ").split()
        assert float(numbers[0]) < float(numbers[-2])
    assert "whole line: is a; dashed: part of; dotted: beside" in drawing(small())
    assert "dashed" not in drawing(deep).split("</style>")[1]


def test_drawings_are_the_same_each_time():
    assert drawing(small(), NAMES) == drawing(small(), NAMES)
    assert graphml(small(), NAMES) == graphml(small(), NAMES)


def test_names_that_are_too_long_are_cut_and_their_number_stays():
    assert cut("car · 1") == "car · 1"
    long = cut("a very long name of a concept that goes on · 123")
    assert wide(long) <= LETTERS and long.endswith("… · 123")
    assert wide(cut("自行车自行车自行车自行车自行车自行车 · 7")) <= LETTERS
    assert "a very long name of a concept that goes on" in drawing(small(), {0: "a very long name of a concept that goes on"})  # fmt: skip # noqa: E501


def test_an_empty_hierarchy_is_drawn():
    nothing = hierarchy(edges_of({}))
    assert printed(nothing).strip() == "0 units, 0 edges (0 more are implied), 0 roots, 0 levels"
    assert ElementTree.fromstring(drawing(nothing)).find(f"{SVG}desc").text == "No unit has a parent."  # fmt: skip # noqa: E501
    assert networkx.parse_graphml(graphml(nothing)).number_of_nodes() == 0


def test_graphml_opens_in_networkx():
    h = small()
    read = networkx.parse_graphml(graphml(h, NAMES | {1: "a\x00b"}), node_type=int)
    assert set(read.edges) == h.pairs and set(read.nodes) == set(h.active) and read.is_directed()
    assert read.nodes[0]["name"] == "vehicle" and read.nodes[1]["name"] == "ab"
    assert {u: read.nodes[u]["positions"] for u in read} == h.active
    for edge in h.edges:
        held = read.edges[edge.child, edge.parent]
        assert (held["weighted"], held["share"], held["kind"]) == (edge.weighted, edge.share, edge.kind)  # fmt: skip # noqa: E501
        assert (held["share_low"], held["share_high"]) == edge.interval
        assert (held["lift"], held["lift_low"], held["lift_high"]) == (edge.lift, *edge.lift_interval)  # fmt: skip # noqa: E501
        assert held["together"] == edge.together


def test_the_dict_has_names_and_reads_back():
    held = json.loads(json.dumps(plain(small(), NAMES), allow_nan=False))
    assert held["schema"] == 1 and held["roots"] == [0]
    assert [one["name"] for one in held["units"]][:2] == ["vehicle", "car"]
    assert of_plain(held).plain() == small().plain()


def test_limits_are_refused():
    with pytest.raises(BadInput) as caught:
        Limits(depth=0)
    assert str(caught.value) == (
        "a hierarchy is drawn with a depth, a width and roots of 1 or more; it got 0, 12 and 24."
    )
