"""The page of an edit of latents: what it says, and that nothing sticks out of it."""

import html
import json
import re
import subprocess

import pytest
import torch

from legenda.models.vae import from_module
from legenda.show.latent_edit import change, context, lead, page, plain
from legenda.tasks.latent_edit import LatentStep, moved
from tests.cli.latent_model import colour
from tests.show.test_page import CHROMIUM, HOSTILE, Tags


@pytest.fixture(scope="module")
def said():
    vae = from_module(colour(), ref="tests.cli.latent_model:colour", name="colour")
    x = vae.visible(vae.decode(torch.zeros(1, 1, vae.width)))
    pool = vae.decode(torch.randn(32, 1, vae.width, generator=torch.Generator().manual_seed(0)))
    found = moved(vae, x, [LatentStep(0, 1.5)], pool=pool)
    return plain(found, "a <i>.png", "legenda edit x a.png --set 0=+1.5", seed=0)


def test_the_record_is_numbers_and_words(said):
    again = json.loads(json.dumps(said, allow_nan=False))
    assert (again["kind"], again["of"], again["edit"]) == ("edit", "latents", "set 0=+1.5")
    assert again["strengths"][0] == 0 and again["strengths"][-1] == 1
    assert again["doses"][0] == again["pictures"]["before"]
    assert again["doses"][-1] == again["pictures"]["after"]
    assert again["changes"][0]["attribute"] == "x" and again["changes"][0]["spreads"] > 0.9


def test_every_picture_says_what_it_shows_and_nothing_is_fetched(said):
    text = page(said)
    images = Tags(text).of("img")
    assert len(images) == 4 + 7 and all(one["alt"] for one in images)
    assert [one["alt"] for one in images[4:6]] == ["strength 0.00", "strength 0.17"]
    assert all((one["src"] or "").startswith("data:image/") for one in images)
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)|url\(|@import|https?:", text)
    assert not Tags(text).of("script") and len(text) < 60_000


def test_words_of_others_are_only_text(said):
    text = page({**said, "edit": HOSTILE, "command": HOSTILE})
    tags = Tags(text)
    assert not tags.of("script") and not any("onerror" in attrs for _, attrs in tags.found)
    assert "{{ 7*7 }}" in html.unescape(text)


def test_what_changed_most_is_said_first(said):
    one = {"attribute": "hue", "before": 1, "after": 2, "spreads": 1.25, "control": 0.5, "above": 9}
    less = {**one, "attribute": "x", "spreads": -0.2}
    none = {**one, "attribute": "y", "spreads": 0.01}
    assert lead({**said, "changes": [one, less, none]}) == (
        "Hue changed most, by +1.25 of its spread among pictures of the model (random moves as "
        "long: 0.50); 1 other attribute changed less. One picture, n = 1."
    )
    assert lead({**said, "changes": [{**one, "control": None}]}) == (
        "Hue changed most, by +1.25 of its spread among pictures of the model. One picture, n = 1."
    )
    assert "2 other attributes changed less" in lead({**said, "changes": [one, less, less]})
    assert lead({**said, "changes": [none]}) == "Nothing that is measured changed."
    assert len(context({**said, "changes": [one, less, none]})["changes"]) == 2
    row = change({**one, "control": None}, 16)
    assert row["control"] == "none" and row["above"] == "9 of 16" and row["spreads"] == "+1.25"


WIDE = """<!doctype html><iframe style="border:0;height:900px;width:{width}px" srcdoc="{page}"></iframe>
<script>
document.querySelector("iframe").onload = ({{target}}) => {{
  const page = target.contentDocument;
  const right = [...page.querySelectorAll("main img, main .scroll, main p, main pre, h1")].map(
    e => e.getBoundingClientRect().right);
  document.body.textContent = "FOUND" + JSON.stringify({{wide: page.documentElement.scrollWidth,
    right: Math.max(...right), shown: [...page.images].every(i => i.naturalWidth > 0),
    paper: target.contentWindow.getComputedStyle(page.body).backgroundColor}}) + "END";
}};
</script>"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("scheme", "paper", "width"), [(0, "rgb(21, 23, 26)", 360), (1, "rgb(252, 252, 250)", 1280)])  # fmt: skip # noqa: E501
def test_nothing_sticks_out_of_the_page(tmp_path, said, scheme, paper, width):
    path = tmp_path / "outer.html"
    path.write_text(WIDE.format(width=width, page=html.escape(page(said))), "utf-8")
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
    assert told["paper"] == paper and told["shown"] is True
    assert told["wide"] <= width and told["right"] <= width
    assert "CONSOLE" not in done.stderr
