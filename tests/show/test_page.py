import html
import re
import shutil
import subprocess
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
