"""The page of latents: what it says, that nothing sticks out, and that it moves in a browser."""

import html
import json
import re
import subprocess
from dataclasses import replace
from math import nan

import numpy as np
import pytest
import torch

from legenda.core.answer import Answer
from legenda.core.dictionary import Identity
from legenda.core.sheet import Sheet
from legenda.core.units import Units
from legenda.describe.lmm import NOT_ASKED
from legenda.models.vae import from_module
from legenda.show.latent_words import between, checked, lead, missing, note, sentence, trust
from legenda.show.latents import EXACT, drawn, fragment, others, page, plain
from legenda.tasks.latent_settings import LatentSettings
from legenda.tasks.latents import study
from tests.cli.latent_model import colour
from tests.show.test_concepts_page import VOID
from tests.show.test_page import CHROMIUM, HOSTILE, Tags


@pytest.fixture(scope="module")
def found():
    vae = from_module(colour(), ref="tests.cli.latent_model:colour", name="colour")
    how = LatentSettings(rows=4, fresh=4, shown=3, pool=64, frames=6)
    return study(Units(vae, Identity(vae.width, "latents")), how)


@pytest.fixture(scope="module")
def hostile(found):
    """The same, as told by someone who tries to be more than words."""
    answer = Answer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1)
    units = tuple(
        replace(u, label=HOSTILE, reason=HOSTILE, answers=(answer,), near=((HOSTILE, 1.0),),
                answer=u.answer and answer)
        for u in found.units
    )  # fmt: skip
    return replace(found, units=units, describer=HOSTILE, model=HOSTILE)


def test_the_record_is_numbers_and_words(found):
    said = json.loads(json.dumps(plain(found), allow_nan=False))
    assert [u["verdict"] for u in said["units"]] == ["named"] * 4 + ["abstained", "inactive"]
    assert [u["answer"]["attribute"] for u in said["units"][:3]] == ["x", "y", "size"]
    first, unit = said["units"][0], found.units[0]
    assert first["certainty"] == round(unit.certainty, 6) and len(first["answers"]) == 4
    assert first["checked"]["holds"] is True and said["units"][5]["answer"] is None
    assert said["settings"]["rows"] == "4" and said["kind"] == "latents"


def test_every_picture_says_what_it_shows_and_is_there_once(found):
    images = Tags(page(found)).of("img")
    assert len(images) == 2 * 5 and all(one["alt"] for one in images)
    assert all((one["src"] or "").startswith("data:image/") for one in images)
    assert len({one["src"] for one in images}) == len(images)
    strips = [one["alt"] or "" for one in images if one.get("class") == "frames"]
    assert strips[0].startswith("3 rows of 6 pictures in which latent 0 goes from -1.96 to +1.96. Horizontal position goes")  # fmt: skip # noqa: E501
    for one in images:
        assert page(found).count(one["src"] or "") == 1, "no picture travels twice"


@pytest.mark.parametrize("write", [page, fragment])
def test_nothing_is_fetched(found, write):
    text = write(found)
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
    assert not re.search(r"@import|https?:", text)
    assert bool(Tags(text).of("script")) == (write is page)


def test_words_of_others_are_only_text(hostile):
    text = page(hostile, command=HOSTILE)
    tags = Tags(text)
    assert len(tags.of("script")) == 1 and len(tags.of("img")) == 10
    assert not any("onerror" in attrs for _, attrs in tags.found)
    assert "{{ 7*7 }}" in html.unescape(text)


def test_every_tag_is_closed_and_every_link_leads_somewhere(found, hostile):
    for one in (found, hostile):
        text = page(one, command="legenda latents x")
        body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
        waiting: list[str] = []
        for closing, name in re.findall(r"<(/?)([a-z][a-z0-9]*)\b[^>]*?>", body):
            if closing:
                assert waiting.pop() == name
            elif name not in VOID:
                waiting.append(name)
        assert waiting == []
        ids = [attrs["id"] for _, attrs in Tags(text).found if "id" in attrs]
        assert len(ids) == len(set(ids))
        assert {(a["href"] or "")[1:] for a in Tags(text).of("a")} <= set(ids)


def test_inactive_units_are_at_the_end_and_have_no_article(found):
    text = page(found)
    assert len(Tags(text).of("article")) == 5 and 'id="unit-5"' not in text
    end = text.rindex("</article>")
    assert "latent 5: It says 0.000 nats of a picture, less than 0.1." in text[end:]


def test_what_is_not_named_says_why_and_is_no_heading_of_its_own(found):
    text = page(found)
    assert text.count("No clear explanation</h2>") == 1
    assert "<p>Nothing moves visibly.</p>" in text


def test_sentences(found):
    assert lead(found) == (
        "colour: of 6 units, 4 have a clear explanation, 1 has none, and 1 is inactive."
    )
    one = replace(found, units=found.units[:1])
    assert lead(one) == (
        "colour: of 1 unit, 1 has a clear explanation, 0 have none, and 0 are inactive."
    )
    assert note(found) == (
        "Each unit was moved alone, from draws of the prior, and measurement said what changes. "
        "Certainty is how much its answers agree; below 0.30 nothing is named. As a control, it "
        "was asked about 120 sheets of the same frames without an order (shuffled, or one frame "
        f"throughout): it named nothing on {found.silent[0]} of them. 120 others set the threshold."
    )
    assert note(replace(found, silent=(0, 0))).endswith(
        "Nothing was asked of sheets without a pattern: how often it names one of those is unknown."
    )
    given = note(replace(found, naming="threshold", nulls=0))
    assert given.endswith(
        f"it named nothing on {found.silent[0]} of them. The threshold was given."
    )
    unit = replace(found.units[0], certainty=0.5, interval=(0.25, 1.0), effect=0.1, nats=2.0, effect_interval=(0.05, 0.2))  # fmt: skip # noqa: E501
    assert trust(unit, found) == (
        "Certainty 0.50 (95 %: 0.25 to 1.00) from 4 answers; named from 0.30. Along a row, colours "
        "change by 0.100 (95 %: 0.050 to 0.200) of white; the latent tells 2.00 nats of a picture."
    )
    few = replace(unit, answers=unit.answers[:3], most=4)
    assert "controls were asked alike. As a control" in note(replace(found, units=(few,)))
    assert trust(few, found).startswith("Certainty 0.50 (95 %: 0.25 to 1.00) from 3 answers, of at most 4; named from 0.30.")  # fmt: skip # noqa: E501
    alone = replace(unit, answers=unit.answers[:1], interval=(nan, nan), nats=None)
    assert trust(alone, found).startswith("Certainty 0.50 from 1 answer; named from 0.30.")
    assert "nats" not in trust(alone, found)


def test_conformal_names_are_explained(found):
    one = replace(found, naming="conformal", alpha=0.1, nulls=60, silent=(50, 60))
    assert note(one) == (
        "Each unit was moved alone, from draws of the prior, and measurement said what changes. "
        "Certainty is how much its answers agree; from 0.30 on those are named whose conformal p "
        "values, corrected for the number of units, are at most 0.1: of what is named, on average "
        "no more than 10 % is like sheets without a pattern. As a control, it was asked about 60 "
        "sheets of the same frames without an order (shuffled, or one frame throughout): it named "
        "nothing on 50 of them. 60 others gave the p values."
    )
    unit = replace(found.units[0], q=0.02)
    assert "; q 0.020, named up to 0.1. Along" in trust(unit, one)
    said = plain(replace(one, units=(unit,)))
    assert (said["naming"], said["units"][0]["q"]) == ("conformal", 0.02)
    assert said["units"][0]["asked"] == {"answers": 4, "most": 4}


def test_the_map_is_of_what_an_eye_sees(found):
    text = page(found)
    most = f"{float(found.units[0].change.max()):.2f}"
    assert f"Where pictures change to the eye: bright is most, {most} of the way from black to white" in text  # fmt: skip # noqa: E501


def test_the_check_is_told_with_its_control(found):
    unit = found.units[0]
    assert unit.checked is not None
    held = replace(unit.checked, moved=1.5, interval=(1.0, 2.0), control=0.01, aside=0.25, aside_interval=(0.1, 0.4), picked=3, picks=4, pairs=2)  # fmt: skip # noqa: E501
    assert checked(replace(unit, checked=held)) == (
        "Checked on other anchors: horizontal position moves as was said, by 1.50 (95 %: 1.00 to "
        "2.00) of its spread among pictures; in shuffled frames by 0.01. 25 % (95 %: 10 to 40) of "
        "all movement is in something else. From the sentence alone the right sheet was picked "
        "among four in 3 of 4 tries (1 in 4 by chance), and the true claim told from its false "
        "twins in 2."
    )
    fails = replace(held, holds=False, picks=0)
    assert "does not surely move as was said" in checked(replace(unit, checked=fails))
    assert "among four" not in checked(replace(unit, checked=fails))
    assert checked(found.units[4]) == ""


def test_answers_that_could_not_be_had_are_counted(found):
    assert missing(found) == ""
    lost = Answer(abstained=f"{NOT_ASKED}http://x/v1 sent no whole JSON. Ask LEGENDA again.")
    units = (replace(found.units[0], answers=(lost, lost, *found.units[0].answers[:1])),)
    told = missing(replace(found, units=units))
    assert told == (
        "2 of 3 answers could not be had. They count as answers that say nothing; the same "
        "command asks for them again, and for nothing else."
    )
    assert told in page(replace(found, units=units))


def test_a_reason_becomes_a_sentence_and_keeps_its_capitals():
    assert sentence("could not be asked: LEGENDA. Go.") == "Could not be asked: LEGENDA. Go."
    assert sentence("no") == "No." and sentence("") == ""
    assert between(0.1, 0.25) == "0.10 to 0.25" and between(nan, 1.0) == ""


def test_equal_answers_are_counted():
    one, none = Answer("It grows.", "size"), Answer(abstained="no")
    assert others((one, none, one, Answer())) == ["It grows. (×2)", "no", "nothing"]


def test_frames_lie_in_the_order_of_the_sheet():
    import base64
    import io

    from PIL import Image

    images = torch.arange(6).reshape(2, 3, 1, 1, 1).expand(2, 3, 3, 4, 5) / 5
    data = drawn(Sheet(images, torch.arange(3.0))).partition(",")[2]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    wanted = np.kron(np.arange(6).reshape(2, 3) * 51, np.ones((4, 5)))
    assert np.array_equal(seen, np.repeat(wanted[..., None], 3, 2))


def test_large_frames_are_made_small_enough():
    noise = torch.rand(4, 8, 3, 200, 150, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 9, 1, 4).unflatten(0, (4, 8))
    assert 10_000 < len(drawn(Sheet(smooth, torch.arange(8.0)))) < EXACT


def test_ten_latents_stay_below_three_megabytes(found):
    """Frames of noise, which nothing compresses, are the worst there is."""
    noise = torch.rand(4, 8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    unit = replace(found.units[0], sheet=Sheet(noise, torch.arange(8.0)))
    worst = replace(found, units=tuple(replace(unit, index=i) for i in range(10)))
    assert len(page(worst).encode()) < 3_000_000
    assert len(page(found).encode()) < 150_000


ACTS = """<!doctype html><iframe style="border:0;height:900px;width:{width}px" srcdoc="{page}"></iframe>
<script>
document.querySelector("iframe").onload = ({{target}}) => {{
  const page = target.contentDocument, view = target.contentWindow;
  const all = [...page.querySelectorAll(".latent")], [first, second] = all;
  const at = (article, i) => view.getComputedStyle(article.querySelectorAll(".frame")[i]).backgroundPosition;
  const slider = first.querySelector("input"), found = [];
  const note = () => found.push([slider.value, first.querySelector("output").textContent,
    slider.getAttribute("aria-valuetext"), first.querySelector(".now").textContent,
    at(first, 0), at(first, 2), at(second, 0)]);
  const go = value => {{ slider.value = value; slider.dispatchEvent(new Event("input")); note(); }};
  note(); go(0); go(5);
  slider.focus();
  const frame = first.querySelector(".frame").getBoundingClientRect();
  document.body.textContent = "FOUND" + JSON.stringify({{found,
    ready: page.documentElement.dataset.ready, hidden: all.some(a => a.querySelector(".play").hidden),
    paper: view.getComputedStyle(page.body).backgroundColor, wide: page.documentElement.scrollWidth,
    focus: page.activeElement === slider, frame: [frame.width, frame.height],
    picture: view.getComputedStyle(first.querySelector(".frame")).backgroundImage.slice(0, 20),
    over: Math.max(...[...page.querySelectorAll(".latent *, h1, .lead, .latent-table")].map(
      e => e.getBoundingClientRect().right)) }}) + "END";
}};
</script>"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("scheme", "paper", "width"), [(0, "rgb(21, 23, 26)", 360), (1, "rgb(252, 252, 250)", 1280)])  # fmt: skip # noqa: E501
def test_a_browser_moves_all_anchors_at_once(tmp_path, found, scheme, paper, width):
    long = replace(found.units[1], answer=Answer("Word" * 60 + " and words " * 40, "y"))
    text = page(replace(found, units=(found.units[0], long, *found.units[2:]), model="m" * 90))
    path = tmp_path / "outer.html"
    path.write_text(ACTS.format(width=width, page=html.escape(text)), "utf-8")
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
    assert told["found"] == [
        ["3", "+0.24", "+0.24", "+0.24", "60% 0%", "60% 100%", "60% 0%"],
        ["0", "-1.96", "-1.96", "-1.96", "0% 0%", "0% 100%", "60% 0%"],
        ["5", "+1.96", "+1.96", "+1.96", "100% 0%", "100% 100%", "60% 0%"],
    ]
    assert told["ready"] == "yes" and told["hidden"] is False and told["focus"] is True
    assert told["paper"] == paper and told["picture"].startswith('url("data:image/webp')
    assert told["frame"][0] == pytest.approx(told["frame"][1], abs=1) and told["frame"][0] > 40
    assert told["wide"] <= width and told["over"] <= width
    assert "CONSOLE" not in done.stderr
