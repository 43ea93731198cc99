import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from legenda.show.page import fragment, page
from legenda.show.pair import _lines
from tests.show.made import made

HOSTILE = """<script>alert(1)</script> "><img src=x onerror=alert(2)> {{ 7*7 }} ' & café 猫"""


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.found if tag == name]


@pytest.mark.parametrize("pairs", [[made()], [made(), made(flagged=True), made(signed=True)]])
def test_every_image_says_what_it_shows(pairs):
    images = Tags(page(pairs)).of("img")
    assert all("alt" in one for one in images)
    assert sum(bool(one["alt"]) for one in images) == 2 * len(pairs)
    assert all((one["src"] or "").startswith("data:image/") for one in images)


@pytest.mark.parametrize("write", [lambda a: page([a, a]), fragment])
def test_nothing_is_fetched(write):
    text = write(made())
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text)
    assert not re.search(r"url\(|@import|https?:", text)


@pytest.mark.parametrize("write", [lambda a: page([a, a], refused=[HOSTILE]), fragment])
def test_a_hostile_sentence_is_only_text(write):
    text = write(made(HOSTILE, source="<b>.png"))
    tags = Tags(text)
    assert len(tags.of("script")) == (1 if "<!doctype" in text else 0)
    assert not tags.of("b") and not any("onerror" in a for _, a in tags.found)
    assert "49" not in html.unescape(text).split(" & café")[0][-20:]
    assert "{{ 7*7 }}" in html.unescape(text)


def test_a_flagged_pair_warns_and_is_muted():
    text = page([made(flagged=True)])
    assert "This pair does not match." in text and 'class="pair muted"' in text
    assert "This pair does not match." not in page([made()])


def test_the_lead_counts_what_does_not_match():
    said = "of a picture and a sentence, explained."
    assert f"One pair {said} It does not match.</p>" in page([made(flagged=True)])
    assert f"One pair {said}</p>" in page([made()])
    assert f"2 pairs {said} 1 of them does not match.</p>" in page([made(), made(flagged=True)])
    assert f"2 pairs {said} 2 of them do not match.</p>" in page([made(flagged=True)] * 2)


def test_many_pairs_have_an_index():
    text = page([made()] * 3, labels=["one", "two", "three"], notes=["A note."])
    assert [a["href"] for a in Tags(text).of("a")] == ["#pair-1", "#pair-2", "#pair-3"]
    assert "three" in text and "A note." in text
    assert not Tags(page([made()])).of("nav")


def test_a_page_stays_small():
    assert len(page([made()])) < 80_000
    assert len(fragment(made())) < 80_000


def test_a_fragment_has_no_script_and_styles_only_itself():
    text = fragment(made())
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style is not None and "<script" not in text
    rules = re.findall(r"^([^@{}\n][^{}]*)\{", style[1], re.M)
    assert rules and all(".legenda" in one for rule in rules for one in rule.split(", "))


def test_a_method_without_figures_has_no_empty_table():
    bare = made(figures={"cosine": 0.2}, scores=(), match=None)
    assert "cosines" not in page([bare]).split("</style>")[1]


def test_a_command_on_many_lines_is_the_same_command():
    import shlex

    command = "legenda explain m 'a b.png' 'it'\"'\"'s --odd' --method m2ib --beta 1.0"
    assert shlex.split(_lines(command).replace("\\\n", "")) == shlex.split(command)


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


WIDE = """<!doctype html><iframe style="border:0;height:800px;width:{width}px" srcdoc="{page}">
</iframe><script>
document.querySelector("iframe").onload = event => {{
  const page = event.target.contentDocument, over = [...page.querySelectorAll(".ticks span")].map(
    tick => tick.getBoundingClientRect().right - tick.parentNode.getBoundingClientRect().right);
  const found = {{wide: page.documentElement.scrollWidth, over: Math.max(...over)}};
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
}};
</script>"""
NUMBERS = {
    f"{tower} {name}": value
    for tower in ("image", "text")
    for name, value in {
        "clean": -0.2174, "bottlenecked": -0.0164, "blocked": -0.0215, "kept": 0.000162
    }.items()
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_a_page(tmp_path, width):
    whole = made(figures={"cosine": -0.2174, **NUMBERS})
    tight = replace(whole.image, scores=whole.image.scores * 3.01 / 3.75)  # a tick at the very end
    text = page([replace(whole, image=tight), whole])
    assert re.search(r"left:9[6-9][.\d]*%", text), "the last tick is near the end"
    path = tmp_path / "outer.html"
    path.write_text(WIDE.format(width=width, page=html.escape(text)), "utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--window-size=1400,900", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = re.search(r"FOUND(.*?)END", done.stdout.split("<body>")[-1])
    assert said is not None, done.stderr
    found = json.loads(said[1])
    assert found["wide"] <= width, "the page does not scroll sideways"
    assert found["over"] <= 0.5, "the last tick stays inside its bar"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("sentence", ["a red house", HOSTILE])
def test_a_browser_opens_the_page_from_disk(tmp_path, sentence):
    path = tmp_path / "page.html"
    path.write_text(page([made(sentence), made(flagged=True)]), "utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 'data-ready="yes"' in done.stdout, done.stderr
    assert done.stdout.count('class="slide" hidden') == 0  # the script showed the sliders
    assert "CONSOLE" not in done.stderr
