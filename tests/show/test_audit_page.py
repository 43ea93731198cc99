"""The page of an audit: what it shows, says, and does not say, and that it holds it all."""

import html
import json
import re
from dataclasses import replace

import pytest

from legenda.show import audit_words as words
from legenda.show.audit import plain
from legenda.show.audit_page import chart, page
from legenda.tasks.audit import audited
from legenda.tasks.audit_groups import read_groups
from tests.show.test_page import HOSTILE, Tags
from tests.tasks.audit_world import (
    GROUPS,
    RED,
    follows_red,
    follows_signs,
    model,
    painted,
    planted,
    token,
    without_decoder,
    written,
)

AGAIN = "legenda audit m pictures --groups labels.csv --seed 0"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    base = tmp_path_factory.mktemp("page")
    rows = painted(base / "pictures", neutral=10, red=1.0)
    return read_groups(written(base / "labels.csv", rows), base / "pictures")


@pytest.fixture(scope="module")
def found(world):
    return audited(model(), world, concepts=follows_red())


@pytest.fixture(scope="module")
def said(found):
    return plain(found, AGAIN, device="cpu")


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """An audit of training images only."""
    base = tmp_path_factory.mktemp("lone")
    rows = painted(base / "pictures", training=20, reference=0)
    groups = read_groups(written(base / "labels.csv", rows), base / "pictures")
    return audited(without_decoder(), groups, concepts=follows_signs())


def text_of(tags):
    """The text of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", tags)).split())


def test_it_is_json_and_the_page_is_made_from_that(found, said):
    text = json.dumps(said, allow_nan=False)
    assert text.startswith('{"schema": 1, "kind": "audit"')
    assert page(found.looks, json.loads(text)) == page(found.looks, said)
    (one,) = said["shortcuts"]["flagged"]
    (whole,) = found.answers.flagged
    assert (one["token"], one["value"]) == (whole.token, whole.delta) == (token(RED), whole.delta)
    tested = found.answers.shortcuts
    assert said["shortcuts"]["tokens"]["delta"] == tested.delta.tolist()
    assert said["shortcuts"]["tested"] == len(tested.tokens)
    assert said["lean"]["value"] == found.answers.lean.delta


def test_every_flagged_token_has_its_patch_its_exemplars_and_its_number(found, said):
    tags = Tags(page(found.looks, said))
    (article,) = tags.of("article")
    assert article["id"] == f"token-{token(RED)}"
    tiles = [one for one in tags.of("span") if (one.get("class") or "").startswith("tile")]
    named = [one["aria-label"] or "" for one in tiles if one.get("role") == "img"]
    assert f"Token {token(RED)}, decoded alone" in named
    look = found.looks[token(RED)]
    for one in look.exemplars:
        assert f"{one.label}: {one.image}, row {one.row}, column {one.column}" in named
    crops = [one for one in tiles if one["class"] == "tile exemplar"]
    assert len(crops) == len(look.exemplars) == 4
    assert len({one["style"] for one in crops}) == 4
    charts = [one["aria-label"] for one in tags.of("svg")]
    (one,) = said["shortcuts"]["flagged"]
    assert charts[0] == chart(one["value"], one["interval"], one["chance"])["say"]
    shown = text_of(page(found.looks, said))
    for line in words.flagged(said, one):
        assert " ".join(line.split()) in shown
    assert f"Token {token(RED)}, toward house" in shown
    assert f"In its place: {one['substitute']}" in shown


def test_a_chart_lies_where_its_numbers_are():
    made = chart(0.5, [-0.2, 1.0], [-1.0, 0.25])
    assert (made["x"], made["spread"]) == (225.0, [120.0, 300.0])
    assert made["control"] == {"x": 0.0, "w": 187.5}
    assert made["say"] == "δ 0.5 [−0.2, 1]; control [−1, 0.25]"
    assert chart(0.0, [0.0, 0.0], [0.0, 0.0])["control"]["w"] == 1.0, "it is still to be seen"


def test_the_lead_comes_first_and_says_what_is_flagged(found, said):
    many = said["shortcuts"]["tested"]
    (one,) = said["shortcuts"]["flagged"]
    assert words.shortcuts(said) == (
        f"1 of {many} tokens is flagged as a shortcut: it went with a group in the training images "
        "only, and the concept model still follows it in 80 reference images (1 toward 'house'). "
        f"Where margins are shuffled, {words.short(said['shortcuts']['control'])} are flagged on "
        "average."
    )
    text = page(found.looks, said)
    lead = re.search(r'<p class="lead">(.*?)</p>', text, re.S)
    assert lead is not None and html.unescape(lead[1]) == words.lead(said)
    assert text.index('class="lead"') < text.index("<main")
    other = {**one, "toward": "tower"}
    three = {**said["shortcuts"], "flagged": [one, other, one], "control": 0.1}
    assert words.shortcuts({**said, "shortcuts": three}) == (
        f"3 of {many} tokens are flagged as shortcuts: they went with a group in the training "
        "images only, and the concept model still follows them in 80 reference images (2 toward "
        "'house', 1 toward 'tower'). Where margins are shuffled, 0.1 are flagged on average."
    )


def test_nothing_found_is_said_plainly(found, said):
    none = {**said, "shortcuts": {**said["shortcuts"], "flagged": []}}
    many = said["shortcuts"]["tested"]
    assert words.shortcuts(none) == (
        f"No token is flagged: of {many} tokens that were tested in 80 reference images, none both "
        "went with a group in the training images only and moves the concept model. A rare or weak "
        "shortcut may have stayed unseen."
    )
    text = page(found.looks, none)
    assert "<article" not in text and words.shortcuts(none) in html.unescape(text)
    untested = {**said, "shortcuts": {**none["shortcuts"], "tested": 0}}
    assert words.shortcuts(untested) == (
        "No token could be tested: that takes 5 reference images of each group that hold it, and 5 "
        "that do not; there are 80 in all."
    )


def test_a_lean_needs_its_interval_and_the_control(said):
    one = {
        **said["lean"], "value": 0.4, "interval": [0.1, 0.6], "n": 20, "beyond": 0.0348,
        "toward": "house", "magnitude": "medium", "leans": True,
    }  # fmt: skip
    assert words.lean({**said, "lean": one}) == (
        "Neutral images lean to 'house': δ = 0.4 [0.1, 0.6] over 20 images, a medium effect; "
        "3.48 % of random pairs of lists lean as far."
    )
    assert words.lean({**said, "lean": {**one, "leans": False}}) == (
        "Neutral images lean to neither group, as far as can be told: δ = 0.4 [0.1, 0.6] over 20 "
        "images; 3.48 % of random pairs of lists lean as far."
    )


@pytest.mark.parametrize(
    ("interval", "far", "leans"),
    [
        ((0.1, 0.6), 0, True),
        ((-0.1, 0.6), 0, False),
        ((0.1, 0.6), 60, False),
        ((-0.9, -0.2), 3, True),
    ],
)
def test_when_images_lean(found, interval, far, leans):
    lean = found.answers.lean
    control = lean.control * 0
    control[:far] = 1.0
    value = sum(interval) / 2
    other = replace(lean, delta=value, interval=interval, control=control)
    answers = replace(found.answers, lean=other)
    made = plain(replace(found, answers=answers))["lean"]
    assert made["leans"] is leans and made["toward"] == GROUPS[0 if value > 0 else 1]
    assert made["beyond"] == pytest.approx((far + 1) / 201)


def test_what_neutral_images_cannot_say_is_said(found, said):
    mute = {**said, "lean": None, "silent": "their lists are of no use."}
    assert words.lean(mute) == (
        "Whether neutral images lean to a group cannot be told: their lists are of no use."
    )
    assert '<p class="warning" role="note">Whether neutral' in page(found.looks, mute)
    assert 'id="lean"' not in page(found.looks, mute)
    assert 'id="lean"' in page(found.looks, said)


def test_training_images_alone_get_a_table_and_no_flag(lone):
    made = plain(lone)
    differing = made["differing"]
    many = len(differing["tokens"])
    assert many > 1
    assert words.lead(made) == (
        "Training images alone cannot tell a shortcut from a sign of the group, so no token is "
        f"flagged. {many} of {differing['tested']} tokens differ between 'house' and 'tower'; "
        f"where the groups are dealt by lot, {words.short(differing['control'])} do on average. "
        "Reference or neutral images can say more."
    )
    text = page(lone.looks, made)
    assert "<article" not in text and 'class="tile alone"' not in text
    table = text[text.index('id="differing"') : text.index('id="lists"')]
    assert table.count("<tr>") == 1 + min(20, many)
    (first, *_) = differing["tokens"]
    assert words.counted(first) in html.unescape(table)
    none = {**made, "differing": {**differing, "tokens": []}}
    assert "None does, as far as these images can tell." in page(lone.looks, none)
    assert words.differing(none).split(". ")[1].startswith("0 of ")


def test_the_counterfactual_is_judged_beside_its_control(said):
    (one,) = said["shortcuts"]["flagged"]
    assert one["proof"]["beats_control"]
    assert words.counterfactual(one) == (
        f"With token {one['substitute']} in its place, the nearest entry that is not flagged, the "
        "margin changes by −6 [−6, −6] on average, in 16 images; with as many random cells "
        f"changed, by {words.short(one['proof']['control'])}"
        f"{words.between(one['proof']['control_interval'])}: the token itself moves the model away "
        "from 'house' when it goes."
    )
    weak = {**one, "proof": {**one["proof"], "beats_control": False}}
    assert words.counterfactual(weak).endswith(
        "not surely more, so that it may only stand beside what the model goes by."
    )


def test_a_concept_model_that_knows_nothing_is_warned_of(world, found, said):
    assert words.doubt(said) == "" and "may know nothing" not in page(found.looks, said)
    blind = planted()
    blind.root[2].weight.zero_()
    other = audited(model(), world, concepts=blind)
    made = plain(other)
    assert words.doubt(made) == (
        "It is not surely better than that, so that what it goes by says little about the groups. "
        "More images, or more epochs, may help."
    )
    assert "<strong>The concept model may know nothing.</strong>" in page(other.looks, made)


def test_notes_say_what_is_to_be_known_before_the_numbers(said):
    knows = said["concept_model"]
    head = words.notes(said)
    assert head[0] == words.knowledge(said)
    assert head[1] == (
        "It was not trained here: the training images stand for those that it was trained on."
    )
    assert head[-1] == "Every δ is above 0 toward 'house' and below 0 toward 'tower'."
    trained = {**said, "concept_model": {**knows, "trained": True, "copies": 3}}
    assert words.notes(trained)[1] == (
        "3 reference images are copies of training images, and not held out: what they say proves "
        "less."
    )
    assert words.knowledge(said).endswith(f"{words.counted(knows['reference'])}; chance is 0.5.")


def test_nothing_is_fetched_and_nothing_runs(found, said, lone):
    for looks, one in ((found.looks, said), (lone.looks, plain(lone))):
        text = page(looks, one)
        assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
        assert not re.search(r"url\((?!data:image)|@import|https?:", text)
        assert "<script" not in text and "script-src" not in text
        assert "default-src 'none'" in text and len(text) < 120_000


def test_a_hostile_name_is_only_text(found, said):
    hostile = json.loads(json.dumps(said).replace('"house"', json.dumps(HOSTILE)))
    hostile["refused"] = [HOSTILE]
    looks = {
        number: replace(
            one,
            exemplars=tuple(replace(e, label=HOSTILE, image=HOSTILE) for e in one.exemplars),
        )
        for number, one in found.looks.items()
    }
    tags = Tags(page(looks, hostile))
    assert not tags.of("script") and not any("onerror" in a for _, a in tags.found)
    assert "{{ 7*7 }}" in html.unescape(page(looks, hostile))


def test_every_class_that_is_used_has_a_rule(found, said, lone):
    for looks, one in ((found.looks, said), (lone.looks, plain(lone))):
        text = page(looks, one)
        style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
        used = {c for _, a in Tags(text).found for c in (a.get("class") or "").split()}
        bare = {c for c in used if not re.search(rf"\.{c}\b", style)}
        assert bare <= {"refused"}, bare


def test_settings_sizes_and_the_command_are_there(found, said):
    text = html.unescape(page(found.looks, said))
    for key, value in said["settings"].items():
        assert f"<dt>{key}</dt><dd>{value}</dd>" in text
    assert "<dt>training images</dt><dd>40 of house, 40 of tower</dd>" in text
    assert "<dt>neutral images</dt><dd>10</dd>" in text
    assert "legenda audit m pictures \\\n  --groups labels.csv \\\n  --seed 0" in text
    assert '<pre class="command"' not in page(found.looks, {**said, "command": ""})
