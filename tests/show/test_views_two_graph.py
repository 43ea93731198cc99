import json
import re

import numpy as np
import pytest

from legenda.atlas.entries import RelationEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_relations
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views.graph import EDGES, LISTED, NODES, chosen, graph
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags
from tests.show.two_worlds import atlas_of, study_of, web


def related(folder, edges, words=tuple("abcdef")):
    atlas, _, units = atlas_of(folder, words)
    put_relations(atlas, study_of(atlas), [
        RelationEntry("co-occurs", units[a], units[b], value, 9, low, low and 9., control)
        for a, b, value, low, control in edges
    ])  # fmt: skip
    return atlas, units


def rendered(atlas):
    said = graph(atlas)
    json.dumps(said, allow_nan=False)
    return said, body("graph", said, ReportLinks())


def test_the_graph_of_the_contract(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        said, text = rendered(atlas)
    (line,), (one,) = said["lines"], said["edges"]
    assert one["names"] == ["cat", "fur"] and one["say"] == "2.4 [1.9, 3]" and one["above"]
    assert line["say"] == "cat and fur: 2.4 (95 %: 1.9 to 3), n = 80, by chance 1"
    assert said["measure"] == "lift" and "Units that are on together, by lift." in text
    assert {n["name"] for n in said["nodes"]} == {"cat", "fur"}
    assert len(Tags(text).of("line")) == 1 and 'class="above"' in text


def test_clear_ones_come_first_and_what_is_not_clear_is_dashed(tmp_path):
    edges = [(0, 1, 9.0, 0.5, 1.0), (1, 2, 2.0, 1.5, 1.0), (2, 3, 3.0, None, 1.0), (3, 4, 8.0, 7.0, None)]  # noqa: E501 # fmt: skip
    atlas, _ = related(tmp_path / "a", edges)
    with atlas:
        said, text = rendered(atlas)
    assert [e["names"] for e in said["edges"]] == [["d", "e"], ["c", "d"], ["b", "c"], ["a", "b"]]
    assert [e["above"] for e in said["edges"]] == [False, True, True, False]
    assert text.count('class="vague"') == 2 and said["above"] == 2


def test_a_stronger_tie_is_a_thicker_line(tmp_path):
    atlas, _ = related(tmp_path / "a", [(0, 1, 700.0, 300.0, 1.0), (1, 2, 7.0, 5.0, 1.0), (2, 3, 6.0, 5.0, 1.0)])  # fmt: skip # noqa: E501
    with atlas:
        said, _ = rendered(atlas)
    widths = [float(line["width"]) for line in said["lines"]]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 3 and max(widths) < 4


def test_a_pair_told_from_both_sides_or_by_two_studies_is_one(tmp_path):
    atlas, units = related(tmp_path / "a", [(0, 1, 2.0, 1.5, 1.0), (1, 0, 2.0, 1.5, 1.0)])
    with atlas:
        put_relations(atlas, study_of(atlas, "newer"), [
            RelationEntry("co-occurs", units[0], units[1], 5., 9), RelationEntry("co-occurs", units[2], units[2], 5., 9)])  # noqa: E501 # fmt: skip
        said, _ = rendered(atlas)
    assert said["total"] == 1 and [e["say"] for e in said["edges"]] == ["5"]


def test_a_large_graph_is_cut_and_says_so(tmp_path):
    words = tuple(f"w{i}" for i in range(200))
    draw = np.random.default_rng(0)
    pairs = sorted({tuple(sorted(map(int, draw.integers(0, 200, 2)))) for _ in range(400)})
    edges = [(a, b, 1 + i / 100, 1.0, 0.5) for i, (a, b) in enumerate(pairs) if a != b]
    atlas, _ = related(tmp_path / "a", edges, words)
    with atlas:
        said, text = rendered(atlas)
    assert len(said["nodes"]) <= NODES and len(said["lines"]) <= EDGES
    assert len(said["edges"]) == LISTED and said["total"] == len(edges)
    assert f"The first {LISTED} of {len(edges)} pairs." in text
    assert "those clear of chance first, then the strongest" in text
    values = [e["value"] for e in said["edges"]]
    assert values == sorted(values, reverse=True)


def test_edges_are_kept_as_long_as_their_units_fit():
    chain = [{"one": i, "other": i + 1} for i in range(NODES + 20)]
    kept, nodes = chosen([*chain, {"one": 0, "other": 5}])
    assert len(nodes) == NODES and kept[-1] == {"one": 0, "other": 5}
    assert len(kept) == NODES


def test_nodes_lie_inside_and_lines_end_at_them(tmp_path):
    with web(tmp_path / "a")[0] as atlas:
        said, text = rendered(atlas)
        assert (said, text) == rendered(atlas)
    wide, tall = float(said["wide"]), float(said["tall"])
    at = {n["id"]: (float(n["left"]) * wide / 100, float(n["top"]) * tall / 100) for n in said["nodes"]}  # fmt: skip # noqa: E501
    assert all(0 < x < wide and 0 < y < tall for x, y in at.values())
    for line in said["lines"]:
        one, other = map(int, line["ends"].split())
        ends = [float(line[k]) for k in ("x1", "y1", "x2", "y2")]
        assert ends == pytest.approx([*at[one], *at[other]], abs=0.02)
    assert {i for line in said["lines"] for i in map(int, line["ends"].split())} == set(at)
    assert len(re.findall('class="node"', text)) == len(said["nodes"])


def test_hostile_names_are_only_text(tmp_path):
    atlas, _ = related(tmp_path / "a", [(0, 1, 2.0, 1.5, 1.0)], (HOSTILE, HOSTILE * 99))
    with atlas:
        _, text = rendered(atlas)
    assert not Tags(text).of("script") and "\u202e" not in text and len(text) < 6000
    assert not any("onerror" in a for _, a in Tags(text).found)


def test_nothing_known_is_said(tmp_path):
    with atlas_of(tmp_path / "a")[0] as atlas:
        said, text = rendered(atlas)
    assert "No co-occurrences are known yet." in text and not said["nodes"]
