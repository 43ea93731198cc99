import html
import json
import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.corpus.view_box import Preprocess
from legenda.describe.naming import NameCheck
from legenda.show.concepts import context, kin, page, plain, spotlight, trust
from legenda.tasks.reading import Reader
from tests.cli import concept_world
from tests.cli.concept_world import painted
from tests.show.test_page import CHROMIUM, HOSTILE, Tags

VOID = {"meta", "img", "br", "hr", "input", "link", "rect", "path"}


@pytest.fixture(scope="module")
def reader():
    return Reader.of(str(concept_world.made() / "a"))


@pytest.fixture(scope="module")
def called(reader):
    """The same, every unit with a name that tries to be more than a name."""
    names = tuple(
        replace(name, word=f"{HOSTILE} {name.unit}", candidates=((HOSTILE, 0.5), ("b", 0.4)))
        for name in reader.names
    )
    return replace(reader, names=names, words={n.unit: n.word for n in names})


def written(reader, count=6, **options):
    read = [reader.seen(painted(seed), f"{seed} <i>.png", count) for seed in (7, 8)]
    shown = [(plain(one, reader.names, reader.relations), one.picture) for one in read]
    return page(
        shown, reader.model.preprocess, reader.near(read), reader.words, reader.exemplars, **options
    )


def test_what_is_said_is_numbers_and_words(reader):
    read = reader.seen(painted(7), "seven.png", 6)
    said = json.loads(json.dumps(plain(read, reader.names, reader.relations), allow_nan=False))
    assert (said["schema"], said["kind"], said["source"]) == (1, "concepts", "seven.png")
    assert [one["unit"] for one in said["concepts"]] == [c.unit for c in read.concepts]
    first, concept = said["concepts"][0], read.concepts[0]
    assert np.allclose(first["map"], concept.map, atol=1e-4) and first["word"] == concept.word
    assert reader.relations is not None and reader.relations.edges
    for edge in reader.relations.edges:
        child = replace(read, concepts=[replace(concept, unit=edge.child)])
        (one,) = plain(child, reader.names, reader.relations)["concepts"]
        assert {e.parent for e in reader.relations.parents(edge.child)} == {p["unit"] for p in one["parents"]}  # fmt: skip # noqa: E501


def test_every_picture_says_what_it_shows(reader):
    tags = Tags(written(reader))
    images = tags.of("img")
    assert all("alt" in one for one in images)
    assert all((one["src"] or "").startswith("data:image/") for one in images)
    silent = [one for one in images if not one["alt"]]
    assert len(silent) == 2 and all(one["class"] == "lit" for one in silent)  # told in words, too
    said = [one["alt"] or "" for one in images]
    assert "7 <i>.png" in said
    assert any("the picture is dark where the unit is off" in one for one in said)


def test_nothing_is_fetched(reader):
    text = written(reader)
    assert not re.search(r"(?:src|href|data-lit)=[\"'](?!data:|#)", text)
    assert not re.search(r"url\(|@import", text)
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)", text)


def test_a_hostile_name_is_only_text(called):
    text = written(called, refused=[HOSTILE], command=HOSTILE)
    tags = Tags(text)
    assert len(tags.of("script")) == 1 and not tags.of("i")
    assert not any("onerror" in attrs for _, attrs in tags.found)
    assert "{{ 7*7 }}" in html.unescape(text)
    shown = [one["data-say"] or "" for one in tags.of("button")]
    assert shown and all(one.startswith(HOSTILE) for one in shown)


@pytest.mark.parametrize("hostile", [False, True])
def test_every_tag_is_closed_and_no_id_is_there_twice(reader, called, hostile):
    text = written(called if hostile else reader)
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
    waiting: list[str] = []
    for closing, name, alone in re.findall(r"<(/?)([a-z][a-z0-9]*)\b[^>]*?(/?)>", body):
        if closing:
            assert waiting.pop() == name
        elif name not in VOID and not alone:
            waiting.append(name)
    assert waiting == []
    ids = [attrs["id"] for _, attrs in Tags(text).found if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in Tags(text).found:
        assert set((attrs.get("aria-labelledby") or "").split()) <= set(ids)


def test_without_names_or_relations_units_have_numbers(reader):
    bare = replace(reader, names=(), words={}, relations=None, survey=None, exemplars=None)
    text = written(bare)
    assert "Part of the hierarchy" not in text and "It has not been named yet." in text
    assert re.search(r"<b>unit \d+</b>", text) and 'class="concept nameless"' in text


def test_a_picture_without_concepts_says_so(reader):
    read = replace(reader.seen(painted(7), "seven.png"), concepts=[], caption=None)
    text = page([(plain(read), read.picture)], reader.model.preprocess)
    assert "No concept of the dictionary is on in this picture." in text
    assert "0 concepts of one picture, 0 of them named; each where it is on." in text


def test_what_could_not_be_read_and_the_command_are_told(reader):
    text = written(reader, refused=["x.png is empty"], command="legenda concepts 7.png")
    assert "<h2>Not read</h2>" in text and "x.png is empty" in text
    assert "legenda concepts 7.png" in text
    assert "Not read" not in written(reader) and "To make this page again" not in written(reader)


def test_how_far_to_trust_a_name(reader):
    check = NameCheck(0.9, (0.8, 0.95), 100, 12, 0.5, 0.6)
    said = {"word": "sail", "by": "FamilyNaming", "why": "", "check": None}
    told = {"auroc": check.auroc, "interval": list(check.interval), "random": check.random, "images": check.images}  # fmt: skip # noqa: E501
    assert trust({**said, "check": told}) == (
        "On 12 held-out pictures the word tells its patches with an AUROC of 0.90 [0.80, 0.95]; a "
        "random word with 0.50."
    )
    assert trust(said) == "The name has not been checked on held-out pictures."
    assert trust({**said, "by": "a person"}) == "Named by a person."
    assert trust({**said, "word": None, "why": "no word stands out"}) == "no word stands out"


def test_relatives_are_said_in_words():
    edge = {"unit": 4, "word": "fruit", "kind": "is-a", "share": 0.93, "interval": [0.9, 0.95]}
    part = {**edge, "unit": 5, "word": None, "kind": "part-of"}
    many = [{**edge, "word": f"w{i}"} for i in range(6)]
    assert kin({"parents": [edge, part], "children": many}) == [
        "a kind of fruit (0.93; 0.90 to 0.95)",
        "a part of unit 5 (0.93; 0.90 to 0.95)",
        "kinds: w0, w1, w2, w3 and 2 more",
    ]


def test_light_falls_where_the_unit_is_on():
    picture = Image.new("RGB", (60, 60), (200, 100, 50))
    grid = np.zeros((6, 6), np.float32)
    grid[:, :3] = 2.0
    lit = np.asarray(spotlight(grid, picture, Preprocess((48, 48))), int)
    assert (lit[:, :20] == [200, 100, 50]).all() and lit[:, 45:].max() < 60
    dark = np.asarray(spotlight(grid * 0, picture, Preprocess((48, 48))), int)
    assert dark.max() < 60
    wide = np.asarray(
        spotlight(grid + 1, Image.new("RGB", (120, 60), "white"), Preprocess((48, 48)))
    )  # noqa: E501
    assert wide[:, :20].max() < 70 and wide[:, 60].min() > 80  # what the model did not see is dark


def test_a_page_stays_small(reader):
    assert len(written(reader)) < 400_000


def test_ids_differ_between_articles(reader):
    one = reader.seen(painted(7), "seven.png", 3)
    shown = [(plain(one, reader.names, reader.relations), one.picture)] * 2
    made = context(shown, reader.model.preprocess)
    assert [article["id"] for article in made["seen"]] == ["seen-1", "seen-2"]
    assert len({c["id"] for article in made["seen"] for c in article["concepts"]}) == 6
    assert torch.is_tensor(one.concepts[0].map)


ACTS = """<!doctype html><iframe style="border:0;height:900px;width:{width}px" srcdoc="{page}"></iframe>
<script>
document.querySelector("iframe").onload = ({{target}}) => {{
  const page = target.contentDocument, found = [];
  const article = page.querySelectorAll(".seen")[1];
  const lit = article.querySelector(".lit"), said = article.querySelector(".shown");
  const [first, second] = article.querySelectorAll(".show");
  const note = what => found.push([what, lit.hidden, lit.src === first.dataset.lit ? 1 : lit.src === second.dataset.lit ? 2 : 0,
    said.textContent, first.getAttribute("aria-pressed"), second.getAttribute("aria-pressed")]);
  const send = (to, event) => to.dispatchEvent(event);
  const key = name => send(page, new target.contentWindow.KeyboardEvent("keydown", {{key: name}}));
  note("begin");
  send(first, new Event("pointerenter")); note("over");
  send(first, new Event("pointerleave")); note("away");
  send(second, new Event("focus")); note("focus");
  send(second, new Event("blur")); note("blur");
  first.click(); send(first, new Event("pointerleave")); note("pressed");
  send(second, new Event("focus")); note("focus beside");
  send(second, new Event("blur")); note("back");
  key("a"); note("a letter");
  key("Escape"); send(first, new Event("pointerleave")); note("escape");
  key("Escape"); note("escape again");
  second.click(); key("Escape"); note("escape where the pointer is");
  send(first, new Event("focus")); key("Escape"); note("escape where the focus is");
  const paper = target.contentWindow.getComputedStyle(page.body).backgroundColor;
  const other = page.querySelectorAll(".seen")[0].querySelector(".lit").hidden;
  document.body.textContent = "FOUND" + JSON.stringify({{found, paper, other,
    wide: page.documentElement.scrollWidth}}) + "END";
}};
</script>"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("scheme", "paper", "width"), [(0, "rgb(21, 23, 26)", 360), (1, "rgb(252, 252, 250)", 1280)])  # fmt: skip # noqa: E501
def test_a_browser_shows_the_map_of_the_concept_at_hand(tmp_path, called, scheme, paper, width):
    path = tmp_path / "outer.html"
    path.write_text(ACTS.format(width=width, page=html.escape(written(called))), "utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", "--v=0", f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1400,900", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    seen = re.search(r"FOUND(.*)END", done.stdout, re.S)
    assert seen is not None, done.stderr
    told = json.loads(html.unescape(seen[1]))
    rows = {row[0]: row[1:] for row in told["found"]}
    off = [True, "", "false", "false"]

    def state(name):
        hidden, _, said, one, two = rows[name]
        return [hidden, said, one, two]

    assert state("begin") == state("away") == state("blur") == off
    assert rows["over"][:2] == [False, 1] and rows["over"][2].startswith(HOSTILE)
    assert rows["focus"][:2] == [False, 2] and rows["focus"][3:] == ["false", "false"]
    assert rows["pressed"][:2] == [False, 1] and rows["pressed"][3:] == ["true", "false"]
    assert rows["focus beside"][:2] == [False, 2] and rows["focus beside"][3:] == ["true", "false"]
    assert rows["back"] == rows["a letter"] == rows["pressed"]
    assert state("escape") == state("escape again") == off
    assert state("escape where the pointer is") == state("escape where the focus is") == off
    assert told["other"] is True and told["paper"] == paper and told["wide"] <= width
    assert "CONSOLE" not in done.stderr
