import itertools
import json
import re

import numpy as np
import pytest

from legenda.atlas.entries import RelationEntry
from legenda.atlas.store import Atlas
from legenda.atlas.write import put_relations
from legenda.show.links import ReportLinks
from legenda.show.site import body
from legenda.show.views import tree as view
from legenda.show.views.tree import nested, outline, tree
from tests.atlas.made import HOSTILE, made
from tests.show.test_page import Tags
from tests.show.two_worlds import atlas_of, study_of, web


def edge(one, other, value=0.9, kind="is-a"):
    return {"kind": kind, "one": one, "other": other, "value": value, "low": None, "high": None,
            "n": 9, "control": None}  # fmt: skip


def drawn(lines):
    """`2.1` is unit 1 on level 2; a star says that it is drawn in full elsewhere."""
    return " ".join(f"{o['level']}.{o['unit']}{'*' if o['again'] else ''}" for o in lines)


def related(folder, *edges, words=("a", "b", "c", "d", "e", "f")):
    atlas, _, units = atlas_of(folder, words)
    put_relations(atlas, study_of(atlas), [
        RelationEntry(kind, units[one], units[other], value, 9, value - .1, value + .1, .2)
        for one, other, kind, value in edges
    ])  # fmt: skip
    return atlas, units


def test_children_stand_below_their_parents_strongest_first():
    lines, circles, left = outline([edge(2, 1, 0.9), edge(3, 1, 0.8), edge(4, 2), edge(6, 5)])
    assert drawn(lines) == "0.1 1.2 2.4 1.3 0.5 1.6" and not circles and not left


def test_a_unit_of_two_parents_is_in_full_below_the_surest():
    lines, _, _ = outline([edge(3, 2, 0.95), edge(3, 1, 0.7), edge(4, 3)])
    assert drawn(lines) == "0.1 1.3* 0.2 1.3 2.4"


@pytest.mark.parametrize(
    "edges, circle",
    [([(1, 2), (2, 1)], {1, 2}), ([(1, 2), (2, 3), (3, 1)], {1, 2, 3}),
     ([(1, 2), (2, 1), (3, 1), (4, 3)], {1, 2})],
)  # fmt: skip
def test_a_circle_is_cut_and_said_and_everything_is_drawn(edges, circle):
    lines, circles, left = outline([edge(a, b) for a, b in edges])
    assert [set(one) for one in circles] == [circle] and not left
    whole = [o["unit"] for o in lines if not o["again"]]
    assert sorted(whole) == sorted({u for e in edges for u in e})


@pytest.mark.parametrize("seed", range(6))
def test_every_unit_is_drawn_in_full_once(seed):
    draw = np.random.default_rng(seed)
    pairs = {(int(a), int(b)) for a, b in draw.integers(0, 12, (25, 2)) if a != b}
    rows = [edge(a, b, float(draw.random())) for a, b in sorted(pairs)]
    lines, circles, left = outline(rows)
    whole = [o["unit"] for o in lines if not o["again"]]
    assert sorted(whole) == sorted({u for pair in pairs for u in pair}) and not left
    said = sorted((o["unit"], o["edge"]["other"]) for o in lines if o["edge"])
    assert said == sorted(pairs)
    for circle in circles:
        assert all((a, b) in pairs for a, b in zip(circle, circle[1:] + circle[:1], strict=True))


def test_a_long_chain_and_a_dense_web_do_not_hang():
    chain = [edge(i + 1, i) for i in range(20_000)]
    lines, circles, left = outline(chain)
    assert max(o["level"] for o in lines) == view.DEPTH and not circles
    assert left == 20_001 - len(lines) and lines[-1]["more"] == 1
    dense = [edge(a, b) for a, b in itertools.permutations(range(40), 2)]
    lines, circles, _ = outline(dense)
    assert len(circles) >= 1 and {o["unit"] for o in lines} == set(range(40))
    assert len(lines) <= 1 + len(dense)


def test_a_broad_tree_is_cut_and_says_what_is_left_out():
    lines, _, left = outline([edge(i, 0) for i in range(1, 100)])
    assert len(lines) == 1 + view.CHILDREN and lines[0]["more"] == 99 - view.CHILDREN == left
    rows = [edge(100 * r + i, 100 * r) for r in range(60) for i in range(1, 50)]
    lines, _, left = outline(rows)
    whole = [o for o in lines if not o["again"]]
    assert len(whole) == view.NODES and left == 3000 - view.NODES


def test_lines_become_a_forest_again():
    lines, _, _ = outline([edge(2, 1), edge(3, 2), edge(4, 1, 0.8), edge(6, 5)])
    roots = nested([{**line, "children": []} for line in lines])
    assert [r["unit"] for r in roots] == [1, 5]
    assert [c["unit"] for c in roots[0]["children"]] == [2, 4]
    assert roots[0]["children"][0]["children"][0]["unit"] == 3


def test_the_tree_of_the_contract(tmp_path):
    with Atlas(made(tmp_path / "a")) as atlas:
        said = tree(atlas)
        json.dumps(said)
        text = body("tree", said, ReportLinks())
    (group,) = said["groups"]
    (root,) = group["roots"]
    assert root["unit"]["name"] == "animal" and [c["unit"]["name"] for c in root["children"]] == ["cat", "dog"]  # fmt: skip # noqa: E501
    kind = "a kind of it: 0.9 (95 %: 0.8 to 0.97) of 120, by chance 0.1"
    assert root["children"][0]["say"] == kind
    fur = root["children"][0]["children"][0]
    assert fur["kind"] == "part-of" and fur["say"].startswith("a part of it: 0.7")
    assert said["orphans"] == "3 named units" and "3 named units stand in no such relation." in text
    assert len(Tags(text).of("details")) == 2 and len(Tags(text).of("summary")) == 2
    assert all("alt" in one for one in Tags(text).of("img"))


def test_renewed_studies_count_a_relation_once(tmp_path):
    atlas, units = related(tmp_path / "a", (1, 0, "is-a", 0.5))
    with atlas:
        newer = study_of(atlas, "again")
        put_relations(atlas, newer, [RelationEntry("is-a", units[1], units[0], 0.8, 50)])
        said = tree(atlas)
    assert said["relations"] == 1
    assert said["groups"][0]["roots"][0]["children"][0]["say"] == "a kind of it: 0.8 of 50"


def test_a_circle_in_an_atlas_is_told(tmp_path):
    atlas, _ = related(
        tmp_path / "a", (0, 1, "is-a", 0.5), (1, 0, "is-a", 0.6), (2, 0, "is-a", 0.6)
    )
    with atlas:
        text = body("tree", tree(atlas), ReportLinks())
    assert "A circle was cut." in text and "These stand above one another: a, b." in text


def test_a_unit_above_itself_is_passed_over(tmp_path):
    atlas, _ = related(tmp_path / "a", (0, 0, "is-a", 0.5))
    with atlas:
        assert tree(atlas)["groups"] == [] and tree(atlas)["relations"] == 0


def test_hostile_names_are_only_text(tmp_path):
    atlas, _ = related(tmp_path / "a", (1, 0, "is-a", 0.5), words=(HOSTILE, HOSTILE * 99))
    with atlas:
        text = body("tree", tree(atlas), ReportLinks())
    assert not Tags(text).of("script") and "\u202e" not in text and len(text) < 5000


def test_no_relations_are_said(tmp_path):
    with atlas_of(tmp_path / "a")[0] as atlas:
        assert "No relations are known yet." in body("tree", tree(atlas), ReportLinks())


def test_each_set_has_its_own_tree(tmp_path):
    with web(tmp_path / "a")[0] as atlas:
        said = tree(atlas)
        text = body("tree", said, ReportLinks())
    assert [r["unit"]["name"] for r in said["groups"][0]["roots"]] == ["animal", "plant", "vehicle", "house"]  # fmt: skip # noqa: E501
    assert len(re.findall(r"<li class=\"(?:root|is-a|part-of)\"", text)) == said["units"] == 21


def test_a_tree_with_a_name_stands_before_a_larger_one_without(tmp_path):
    edges = (1, 0, "is-a", 0.9), (2, 0, "is-a", 0.9), (3, 0, "is-a", 0.9), (5, 4, "is-a", 0.9)
    atlas, units = related(tmp_path / "a", *edges)
    with atlas:
        first = [root["unit"]["id"] for root in tree(atlas)["groups"][0]["roots"]]
        assert first == [units[0], units[4]], "the larger first, where both have names"
        with atlas.writing() as base:
            base.execute(
                "UPDATE units SET state = 'abstained', name = '' WHERE id = ?", (units[0],)
            )
        then = [root["unit"]["id"] for root in tree(atlas)["groups"][0]["roots"]]
        assert then == [units[4], units[0]]
