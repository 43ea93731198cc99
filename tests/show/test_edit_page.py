"""The page of an edit: what it shows, says, warns of, and that it holds it all."""

import base64
import html
import io
import json
import re
from functools import cache, partial

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.explain.codebook_search import CodebookSearch
from legenda.show import edit_words as words
from legenda.show.edit import difference, outline, page, picture, plain, png, rows, spread, trace
from legenda.tasks.edit import put, steered, toward
from tests.show.test_page import HOSTILE, Tags
from tests.tasks.toys import BOX, CONCEPTS, extractor, judges, model, pixels

AGAIN = "legenda edit m a.png --toward concept=horse --region box:7,7,4,4 --seed 0"


@cache
def aimed():
    search = partial(CodebookSearch, steps=20, restarts=2, every=5)
    return toward(model(), extractor(), pixels(), "horse", BOX, judges(), search=search)


@cache
def unjudged():
    search = partial(CodebookSearch, steps=5, restarts=1)
    return toward(model(), extractor(), pixels(), "horse", BOX, {}, search=search)


@cache
def pushed():
    return steered(model(), pixels(), 3, 2.0, BOX, judges(), names=CONCEPTS)


def said(edited=None, source="pictures/a.png", **changes):
    return {**plain(edited or aimed(), source, AGAIN, device="cpu"), **changes}


def test_it_is_json_and_the_page_is_made_from_that():
    found = said()
    text = json.dumps(found, allow_nan=False)
    assert text.startswith('{"schema": 1, "kind": "edit"')
    assert page(json.loads(text)) == page(found)
    assert found["tokens"]["before"] == aimed().tokens[0].tolist()
    assert found["tokens"]["after"] == aimed().after_tokens[0].tolist()
    assert found["tokens"]["changed"] == int((aimed().tokens != aimed().after_tokens).sum())
    assert found["positions"] == list(BOX) and found["n"] == 1
    assert found["control"] == {"n": 16, "by": "fillings with tokens of the picture by lot"}
    assert said(pushed())["tokens"]["after"] is None, "acts that were shifted are no tokens"


def test_pictures_are_the_bytes_pixel_by_pixel():
    found = said()
    original, before, after = model().bytes(torch.cat([pixels(), aimed().before, aimed().after]))
    for name, wanted in (("original", original), ("before", before), ("after", after)):
        assert np.array_equal(np.asarray(picture(found, name)), wanted.numpy()), name
        assert found["pictures"][name] == "data:image/png;base64," + base64.b64encode(png(found, name)).decode()  # fmt: skip # noqa: E501


def test_the_difference_is_dark_where_nothing_changed_and_brightest_where_most_did():
    before = np.full((4, 6, 3), 100, np.uint8)
    after = before.copy()
    after[1, 2, 0], after[3, 3] = 90, (100, 101, 140)
    drawn = difference(before, after).astype(int).sum(2)
    same = np.ones((4, 6), bool)
    same[1, 2] = same[3, 3] = False
    assert len(np.unique(drawn[same])) == 1
    assert drawn[same].max() < drawn[1, 2] < drawn[3, 3]
    assert np.array_equal(difference(before, before), difference(after, after))


def test_every_picture_says_what_is_seen_and_what_changed():
    images = Tags(page(said())).of("img")
    assert all((one["src"] or "").startswith("data:image/png;base64,") for one in images)
    original, before, after, gap = (one["alt"] or "" for one in images)
    first, second = said()["judges"]
    numbers = {
        at: [words.probability(one["target"][at]) for one in (first, second)]
        for at in ("before", "after")
    }
    assert original == "The picture pictures/a.png as the model takes it, 32 × 32 pixels."
    assert before == (
        "The same picture, decoded from its tokens, before the edit. first gives horse "
        f"{numbers['before'][0]}; second gives horse {numbers['before'][1]}. The region is "
        "outlined: rows 7 to 10 and columns 7 to 10, from 0."
    )
    assert after == (
        f"After the edit (toward horse); {said()['tokens']['changed']} tokens are others. first "
        f"gives horse {numbers['after'][0]}; second gives horse {numbers['after'][1]}."
    )
    assert gap.startswith("Where the two differ, bright where most. In the region ")


def test_pixels_stay_square_and_the_region_is_outlined():
    text = page(said())
    assert "image-rendering: pixelated" in text
    assert '"Segoe UI"' in text, "style is not escaped"
    assert text.count('class="outline"') == 3, "the original has no grid"
    assert 'viewBox="0 0 16 16"' in text


@pytest.mark.parametrize("positions", [BOX, (0,), (0, 1, 5, 23), tuple(range(24))])
def test_an_outline_has_a_side_wherever_inside_meets_outside(positions):
    grid = (4, 6) if max(positions) < 24 else (16, 16)
    inside = np.zeros((grid[0] + 2, grid[1] + 2), int)
    for n in positions:
        inside[n // grid[1] + 1, n % grid[1] + 1] = 1
    path = outline(positions, grid)
    assert path.count("h1") == np.abs(np.diff(inside, axis=0)).sum()
    assert path.count("v1") == np.abs(np.diff(inside, axis=1)).sum()
    assert re.fullmatch(r"(M\d+ \d+[hv]1)+", path)


def test_nothing_is_fetched_and_nothing_runs():
    for found in (said(), said(pushed()), said(unjudged())):
        text = page(found)
        assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
        assert not re.search(r"url\(|@import|https?:", text)
        assert "<script" not in text and "script-src" not in text
        assert "default-src 'none'" in text and len(text) < 80_000


def test_a_hostile_name_is_only_text():
    hostile = said(source=HOSTILE, edit=HOSTILE, command=f"legenda edit m '{HOSTILE[:30]}'")
    tags = Tags(page(hostile))
    assert not tags.of("script") and not any("onerror" in a for _, a in tags.found)
    assert "{{ 7*7 }}" in html.unescape(page(hostile))


def test_a_table_holds_source_and_target_beside_the_control():
    text = page(said())
    cells = [html.unescape(c) for c in re.findall(r"<t[dh](?: scope=\"row\")?>(.*?)</t[dh]>", text)]
    table = [cells[i : i + 7] for i in range(0, len(cells), 7)]
    wanted = [row for one in said()["judges"] for row in rows(one)]
    assert len(table) == len(wanted) == 4
    for (judge, what, *numbers), row in zip(table, wanted, strict=True):
        assert (judge, what) == (row["judge"], f"{row['class']}, {row['role']}")
        assert numbers == [row[k] for k in ("before", "after", "mean", "range", "above")]
    assert [row["role"] for row in wanted] == ["seen before", "aimed at"] * 2
    assert "One picture (n = 1) has no interval." in text


def test_what_was_seen_may_be_what_is_aimed_at():
    (one, _) = said()["judges"]
    same = {**one, "source": one["target"]}
    assert [row["role"] for row in rows(same)] == ["aimed at, and seen before"]
    assert ", which is what the edit aims at; after 16 " in words.verdict(said(), same)


def test_an_edit_by_hand_says_what_changed_most():
    found = said(pushed())
    assert [row["role"] for one in found["judges"] for row in rows(one)] == ["seen before", "changed most"] * 2  # fmt: skip # noqa: E501
    largest = found["judges"][0]["largest"]
    assert largest["shift"] == abs(largest["after"] - largest["before"])
    assert words.verdict(found, found["judges"][0]).endswith(
        f"The largest change of any class: {words.course(largest)}, by "
        f"{words.probability(largest['shift'])}; after 16 edits with other units, by lot, it is "
        f"{words.probability(largest['shifts']['mean'])} {words.between(largest['shifts'])}."
    )
    assert "What was optimised" not in page(found) and 'class="trace"' not in page(found)
    assert "; acts were shifted. " in page(found)


def test_what_was_optimised_is_said_to_prove_nothing():
    text = page(said())
    assert "<h2>What was optimised, and proves nothing</h2>" in text
    assert words.optimised(said()) in html.unescape(text)
    (svg,) = [a for a in Tags(text).of("svg") if a.get("role") == "img"]
    assert svg["aria-label"] == words.trace(said())


def test_the_course_of_a_search_goes_through_its_looks():
    found = said()
    made = trace(found)
    assert made is not None
    looks = [(0, found["optimised"]["logit"]["before"]), *found["optimised"]["trace"]]
    points = [tuple(map(float, p.split(","))) for p in made["points"].split()]
    assert [p[0] for p in points] == [300 * step / 20 for step, _ in looks]
    order = sorted(range(len(looks)), key=lambda i: looks[i][1])
    assert sorted(order, key=lambda i: -points[i][1]) == order, "higher is higher up"
    assert all(0 <= y <= 80 for _, y in points)
    assert trace(said(pushed())) is None


def test_without_judges_it_warns():
    text = page(said(unjudged()))
    assert (
        '<p class="warning" role="note"><strong>Nothing independent judged this edit.</strong> '
        "Below is the opinion of the model that was optimised, which finds itself right.</p>"
    ) in text
    assert "<table>" not in text
    assert 'role="note"' not in page(said())
    by_hand = said(put(model(), pixels(), 3, 1, BOX, {}))
    assert words.alone(by_hand) == (
        "Nothing independent judged this edit.",
        "No judge was given: what it means is for you to see.",
    )
    strangers = said(judges=[{**one, "target": None} for one in said()["judges"]])
    assert words.alone(strangers) == (
        "No judge knows horse.", "They say what else changed, and no more."
    )  # fmt: skip


def lead(*afters):
    """The lead where each judge went from 0.5 to so much, and random edits reached 0.6."""
    one = said()["judges"][0]
    target = {**one["target"], "before": 0.5, "control": spread([0.4, 0.6]), "above": 0}
    panel = [
        {**one, "target": {**target, "after": v, "above": 2 if v > 0.6 else 1}} for v in afters
    ]
    return words.lead(said(judges=panel, control={"n": 2, "by": "fillings"}))


def test_the_lead_counts_judges_that_are_clear_of_the_control():
    head = "pictures/a.png, toward horse, in 16 of 256 positions."
    end = "horse more than before, and more than after each of 2 random edits."
    assert lead(0.7) == f"{head} The judge gives {end}"
    assert lead(0.55) == f"{head} The judge does not give {end}"
    assert lead(0.7, 0.55) == f"{head} 1 of 2 judges gives {end}"
    assert lead(0.7, 0.8) == f"{head} 2 of 2 judges give {end}"
    assert lead() == head


def test_probabilities_are_never_rounded_to_certainty():
    assert words.probability(0.0) == "0.000" and words.probability(1.0) == "1.000"
    assert words.probability(1e-9) == "<0.001" and words.probability(0.99999) == ">0.999"
    assert words.probability(0.12345) == "0.123"


def test_the_command_and_the_settings_are_there():
    text = html.unescape(page(said()))
    assert "legenda edit m a.png \\\n  --toward concept=horse \\\n  --region" in text
    for key, value in said()["settings"].items():
        assert f"<dt>{key}</dt><dd>{value}</dd>" in text
    assert '<pre class="command"' not in page(said(command=""))


def test_rules_of_an_edit_touch_only_what_is_ours():
    style = re.search(r"<style>(.*?)</style>", page(said()), re.S)
    assert style is not None
    rules = re.findall(r"^([^@{}\n][^{}]*)\{", style[1], re.M)
    assert any(".outline" in rule for rule in rules)
    assert all(".legenda" in one for rule in rules for one in rule.split(", "))


def test_a_picture_in_the_dict_is_one_that_opens():
    with Image.open(io.BytesIO(png(said(), "difference"))) as opened:
        assert opened.size == (32, 32) and opened.format == "PNG"
