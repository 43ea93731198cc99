"""The report in a real browser: every view, keys, addresses, both themes, hostile names."""
# ruff: noqa: E501

import io

import numpy as np
import pytest
import torch
from PIL import Image

from legenda.atlas.entries import (
    EvidenceEntry,
    ExplanationEntry,
    ModelEntry,
    PictureEntry,
    SetEntry,
    StudyEntry,
    UnitEntry,
)
from legenda.atlas.evidence import put_evidence
from legenda.atlas.store import Atlas
from legenda.atlas.write import (
    put_exemplars,
    put_model,
    put_picture,
    put_set,
    put_study,
    put_units,
)
from legenda.atlas.writer import Writer
from legenda.show.report import report
from tests.atlas.made import made
from tests.show.browser import needed, opened

pytestmark = needed
HOSTILE_SHOWN = '<script>alert(1)</script> " onerror=x {{ 7*7 }}'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    with Atlas(made(folder / "squares.atlas")) as atlas:
        (folder / "report.html").write_text(report(atlas), "utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def seen(page):
    with opened(page) as found:
        yield found


@pytest.fixture(autouse=True)
def at_home(request):
    """Tests that share a page begin at its overview, and end without a complaint."""
    if "seen" not in request.fixturenames:
        yield
        return
    seen = request.getfixturevalue("seen")
    seen.page.keyboard.press("Escape")
    go(seen, "overview")
    yield
    seen.calm()


def go(seen, view):
    seen.page.evaluate("view => { location.hash = view; }", view)
    seen.until("view => document.body.dataset.view === view", view.split("/")[0].split("?")[0])


def hash_of(seen):
    return seen.page.evaluate("location.hash")


def test_every_view_can_be_turned_to(seen):
    for name in [
        *seen.page.eval_on_selector_all("script[data-view]", "all => all.map(x => x.dataset.view)")
    ]:
        go(seen, name)
        assert seen.count("main h1") == 1 and seen.text("main h1")
        seen.until(
            "[...document.querySelectorAll('main img[data-picture]')].every(x => x.complete && x.naturalWidth)"
        )
        assert seen.overflow() <= 0, name
        assert seen.page.title().endswith("squares")


def test_every_place_of_the_navigation_is_clicked(seen):
    for number in range(seen.count("header nav a")):
        link = seen.page.locator("header nav a").nth(number)
        link.click()
        seen.page.wait_for_timeout(30)
        assert link.get_attribute("aria-current") == "page"
        assert seen.count("header nav a[aria-current]") == 1
        assert hash_of(seen) == link.get_attribute("href")


def test_the_page_is_told_of_a_turn(seen):
    go(seen, "unit/5")
    assert seen.page.evaluate("document.activeElement.tagName") == "H1"
    assert seen.page.title() == "cat · squares" and seen.page.inner_text("#said") == "cat"
    assert seen.page.evaluate("scrollY") == 0
    go(seen, "units")
    seen.page.go_back()
    seen.until("document.body.dataset.view === 'unit'")
    assert seen.text("main h1") == "cat"
    seen.page.go_back()
    seen.until("document.body.dataset.view === 'overview'")
    assert seen.text("main h1") == "squares"


def test_what_is_not_in_the_file_is_said(seen):
    go(seen, "unit/999")
    assert seen.text("main h1") == "Not in this file"
    assert seen.text("main p").startswith(
        "unit 999 was left out to keep this page small, or is not in the atlas."
    )
    seen.page.evaluate("location.hash = '<img src=x onerror=alert(1)>'")
    seen.page.wait_for_timeout(100)
    assert seen.text("main h1") == "Not in this file" and seen.count("main img") == 0


def test_search_answers_as_one_types(seen):
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("anim")
    seen.page.keyboard.press("Enter")
    seen.until("document.querySelectorAll('[data-results] > li').length === 1")
    assert hash_of(seen) == "#units?q=anim"
    seen.until("document.querySelector('[data-results] .name').innerText === 'animal'")
    seen.page.fill("form.filter input[name=q]", "")
    seen.page.select_option("form.filter select[name=state]", "abstained")
    seen.until("location.hash === '#units?state=abstained'")
    assert seen.text("output") == "1 to 1 of 1" and seen.text("[data-results] .name") == "latent 1"
    seen.page.select_option("form.filter select[name=state]", "")
    seen.page.fill("form.filter input[name=certainty]", "0.7")
    seen.until("document.querySelector('output').textContent === '1 to 4 of 4'")
    seen.page.fill("form.filter input[name=q]", "nothing at all")
    seen.until("document.querySelector('output').textContent === 'No unit is like that.'")


def test_a_search_is_an_address(page):
    with opened(page) as seen:
        go(seen, "units?q=latent&order=number&state=")
        assert seen.page.input_value("form.filter input[name=q]") == "latent"
        names = seen.page.locator("[data-results] .name").all_inner_texts()
        assert names == ["size, small to large", "latent 1", "latent 2"]
        seen.page.reload()
        seen.page.wait_for_selector("[data-results] > li")
        assert seen.page.locator("[data-results] .name").all_inner_texts() == names
        seen.page.click("[data-results] >> text=latent 2")
        assert hash_of(seen) == "#unit/3"
        seen.page.go_back()
        seen.page.wait_for_selector("[data-results] > li")
        assert seen.page.locator("[data-results] .name").all_inner_texts() == names
        seen.calm()


def test_cards_of_the_browser_are_those_of_the_template(seen, page):
    go(seen, "units")
    made_here = seen.page.inner_html("[data-results] > li:has-text('fur')")
    go(seen, "overview")
    of_template = seen.page.inner_html(".cards > li:has-text('fur')")
    calm = "html => { const t = document.createElement('template'); t.innerHTML = html; const out = []; for (const e of t.content.querySelectorAll('*')) out.push([e.tagName, e.getAttribute('class') || '', e.getAttribute('alt'), e.dataset.field || '', e.childElementCount ? '' : e.textContent.trim(), e.getAttribute('href'), e.dataset.picture || '']); return out; }"
    assert seen.page.evaluate(calm, made_here) == seen.page.evaluate(calm, of_template)


def test_keys(seen):
    press = seen.page.keyboard.press
    for key, view in (("u", "units"), ("p", "pictures"), ("t", "tree"), ("g", "graph"),
                      ("f", "curves"), ("i", "findings"), ("o", "overview")):  # fmt: skip
        press("g")
        press(key)
        seen.until("view => document.body.dataset.view === view", view)
    go(seen, "unit/5")
    for key, number in (("j", 6), ("ArrowRight", 7), ("k", 6), ("ArrowLeft", 5)):
        press(key)
        seen.until(f"document.querySelector('main .permalink').hash === '#unit/{number}'")
    go(seen, "units")
    press("j")
    press("j")
    press("k")
    assert seen.page.evaluate("document.activeElement.getAttribute('href')") == "#unit/1"
    press("Enter")
    seen.until("location.hash === '#unit/1'")
    press("?")
    assert seen.page.evaluate("document.getElementById('keys').open")
    press("j")
    press("Escape")
    assert not seen.page.evaluate("document.getElementById('keys').open")
    assert hash_of(seen) == "#unit/1", "keys under the dialog do nothing"
    press("/")
    seen.page.keyboard.type("g?jd")
    assert seen.page.input_value(".seek input") == "g?jd", "keys of the search are letters"
    press("Escape")
    assert seen.page.evaluate("document.activeElement === document.body")
    seen.page.fill(".seek input", "")


def test_the_skip_link_leads_to_the_content(page):
    with opened(page) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.className") == "skip"
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "main"
        assert hash_of(seen) == ""
        seen.calm()


def test_maps_can_be_put_away(seen):
    go(seen, "unit/5")
    over = seen.page.locator(".exemplars .over").first
    lit = "getComputedStyle(document.querySelector('.exemplars .over img')).filter"
    assert over.is_visible() and seen.page.evaluate(lit) == 'url("#legenda-light")'
    assert (
        seen.page.locator(".of-light").is_visible()
        and not seen.page.locator(".of-map").is_visible()
    )
    seen.page.click(".showing >> text=the map")
    assert over.is_visible() and seen.page.evaluate(lit) == "none"
    assert (
        seen.page.locator(".of-map").is_visible()
        and not seen.page.locator(".of-light").is_visible()
    )
    seen.page.click(".showing >> text=the picture alone")
    assert not over.is_visible() and not seen.page.locator(".legend").first.is_visible()


def grey(page, share):
    """How light the first exemplar is on its diagonal, from 0 to 255."""
    drawn = Image.open(io.BytesIO(page.page.locator(".exemplars .stage").first.screenshot()))
    at = int(share * drawn.width)
    return int(np.asarray(drawn.convert("L"))[at, at])


def test_where_a_unit_is_on_is_light_and_the_rest_is_dark(tmp_path):
    """A planted place: the upper left quarter of a white picture."""
    with Atlas(tmp_path / "a.atlas", write=True) as atlas:
        model = put_model(atlas, ModelEntry("m", "m", "", "1", "aa", {}))
        group = put_set(atlas, SetEntry(model, "d", "concept", 1))
        (unit,) = put_units(atlas, [UnitEntry(group, 0, "concept 0", "named", "corner")])
        held = io.BytesIO()
        Image.new("RGB", (96, 96), "white").save(held, "PNG")
        seen = put_picture(atlas, PictureEntry("s", "c", 96, 96, "image/png", held.getvalue()))
        maps = torch.zeros(1, 8, 8)
        maps[0, :4, :4] = 1
        where = EvidenceEntry("exemplars", {"maps": maps}, {"unit": "activation"})
        put_exemplars(atlas, unit, [(seen, 1.0)], put_evidence(atlas, [where])[0])
        (tmp_path / "page.html").write_text(report(atlas), "utf-8")
    with opened(tmp_path / "page.html") as page:
        go(page, f"unit/{unit}")
        page.until(
            "[...document.querySelectorAll('main img')].every(x => x.complete && x.naturalWidth)"
        )
        assert grey(page, 0.2) == 255 and 40 < grey(page, 0.8) < 110
        page.page.click(".showing >> text=the map")
        assert grey(page, 0.8) > 220, "weak places are clear"
        page.page.click(".showing >> text=the picture alone")
        assert grey(page, 0.8) == 255, "nothing is left on it"
        page.calm()


def test_decoded_pictures_are_four_times_as_large_at_most(tmp_path):
    with Atlas(made(tmp_path / "a.atlas"), write=True) as atlas:
        told = EvidenceEntry("pictures", {"images": torch.zeros(2, 3, 20, 20, dtype=torch.uint8)},
                             {"captions": ["alone", "among others"]})  # fmt: skip
        with Writer(atlas, put_study(atlas, StudyEntry("again", "Again", {}))) as writer:
            writer.add(ExplanationEntry("x", "token 1", "Decoding", 11, None, told))
        (tmp_path / "page.html").write_text(report(atlas), "utf-8")
    with opened(tmp_path / "page.html") as page:
        go(page, "unit/11")
        look = page.page.locator(".drawn.picture img").first
        assert look.bounding_box()["width"] == 80
        assert look.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
        go(page, "unit/1")
        page.until("document.querySelector('.drawn.sheet img').naturalWidth > 0")
        steps = page.page.locator(".steps-above span")
        assert steps.all_inner_texts() == ["−2", "−1", "0", "1", "2"]
        box, sheet = steps.nth(3).bounding_box(), page.page.locator("img.sheet").bounding_box()
        middle = (box["x"] + box["width"] / 2 - sheet["x"]) / sheet["width"]
        assert abs(middle - 0.7) < 0.01 and box["y"] < sheet["y"], (
            "above the fourth of five columns"
        )
        page.calm()


def test_what_is_not_in_the_file_is_no_link_and_says_so(tmp_path):
    with Atlas(made(tmp_path / "a.atlas")) as atlas:
        (tmp_path / "page.html").write_text(report(atlas, most=3), "utf-8")
    with opened(tmp_path / "page.html") as page:
        for view in ("tree", "graph", "overview"):
            go(page, view)
            held = set(
                page.page.evaluate(
                    "[...document.querySelectorAll('script[data-view]')].map(x => x.dataset.view)"
                )
            )
            hrefs = page.page.evaluate(
                "[...document.querySelectorAll('main a[href^=\"#unit/\"]')].map(x => x.hash.slice(1))"
            )
            assert set(hrefs) <= held, view
            out = page.page.locator("main a.outside")
            assert out.count(), view
            assert page.text(".outside-note") == (
                "With a dotted line: not in this file, which was kept small; the studio shows it."
            )
            assert out.first.get_attribute("aria-disabled") == "true"
            before = hash_of(page)
            out.first.click(force=True)
            assert hash_of(page) == before
        go(page, "graph")
        out = page.page.locator(".node.outside").first
        out.focus()
        assert page.count("line.near"), "it still shows its ties"
        page.calm()


@pytest.mark.parametrize("width", [700, 1000, 1280])
def test_the_head_stays_in_one_line(tmp_path, width):
    with Atlas(
        made(tmp_path / "an atlas with quite a long name that goes on and on.atlas")
    ) as atlas:
        with Atlas(made(tmp_path / "other.atlas", seed=1)) as other:
            (tmp_path / "page.html").write_text(report(atlas, against=other), "utf-8")
    with opened(tmp_path / "page.html", width=width) as page:
        middles = page.page.evaluate(
            "[...document.querySelectorAll('.shell > *')].map(e => e.getBoundingClientRect()).map(b => b.top + b.height / 2)"
        )
        assert len(middles) == 4 and max(middles) - min(middles) < 3
        right = page.page.evaluate(
            "document.querySelector('.buttons').getBoundingClientRect().right"
        )
        assert right <= width and page.overflow() <= 0
        page.calm()


def test_the_place_where_it_was_made_is_opened(seen):
    go(seen, "unit/5")
    seen.page.click("text=All settings and provenance")
    seen.page.wait_for_selector("[data-study='2'] details[open]")
    assert hash_of(seen) == "#overview?study=2"
    assert not seen.page.evaluate("document.querySelector(\"[data-study='1'] details\").open")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_follow_the_system_and_can_be_turned(page, theme):
    lightness = (
        "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    )
    with opened(page, theme=theme) as seen:
        first = seen.page.evaluate(lightness)
        assert (first > 128) == (theme == "light")
        seen.page.click("button.theme")
        assert (seen.page.evaluate(lightness) > 128) != (theme == "light")
        seen.page.reload()
        assert (seen.page.evaluate(lightness) > 128) != (theme == "light"), "kept for this visit"
        seen.page.keyboard.press("d")
        assert seen.page.evaluate(lightness) == first
        seen.calm()


@pytest.mark.parametrize("width", [360, 3840])
def test_nothing_sticks_out_at_any_width(page, width):
    with opened(page, width=width) as seen:
        for view in ("overview", "units", "unit/1", "unit/5", "unit/9", "tree", "graph", "curves",
                     "findings", "pictures", "picture/1"):  # fmt: skip
            go(seen, view)
            assert seen.overflow() <= 0, view
        size = seen.page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert 15 < size < 30 and (size > 22) == (width == 3840), "letters grow with the screen"
        seen.calm()


def test_hostile_names_stay_text(seen):
    dialogs = []
    seen.page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    for view in ("overview", "units", "unit/9", "units?q=%3Cscript%3E"):
        go(seen, view)
        seen.page.wait_for_timeout(50)
        assert seen.count("main script") == 0 and seen.count("[onerror]") == 0
    go(seen, "unit/9")
    assert " ".join(seen.text("main h1").split()) == HOSTILE_SHOWN
    assert dialogs == []


def test_without_scripts_the_overview_is_read(page):
    with opened(page, scripts=False) as seen:
        assert seen.text("main h1") == "squares" and "zoo:scenes" in seen.text("main")
        assert "without them the overview can be read" in seen.text("body")
        assert not seen.page.locator("button.theme").is_visible()


def test_it_paints_soon_and_is_never_long_at_work(page):
    with opened(page) as seen:
        paint = seen.page.evaluate("performance.getEntriesByName('first-paint')[0].startTime")
        assert paint < 1000
        seen.watch_tasks()
        for view in ("units", "unit/5", "picture/1", "overview"):
            go(seen, view)
            seen.page.mouse.wheel(0, 2000)
        assert seen.longest_task() < 400, "generous: other work may share this machine"
