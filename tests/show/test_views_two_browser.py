"""The second half of the views in a real browser, inside a report."""

import pytest

from legenda.atlas.store import Atlas
from legenda.show.links import NotebookLinks
from legenda.show.report import report
from legenda.show.site import body, viewer
from tests.atlas.made import made
from tests.show import browser
from tests.show.two_worlds import WORDS, atlas_of, web

pytestmark = browser.needed
VIEWS = ("pictures", "picture/1", "picture/2", "tree", "graph", "compare")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of a whole atlas, compared with another."""
    folder = tmp_path_factory.mktemp("report")
    other = atlas_of(folder / "b", ("animal", "", *WORDS[2:]))[0]
    with web(folder / "a")[0] as atlas, other:
        text = report(atlas, against=other)
    (folder / "page.html").write_text(text, "utf-8")
    return folder / "page.html"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A report of the atlas of the contract, which has curves and findings."""
    folder = tmp_path_factory.mktemp("results")
    with Atlas(made(folder / "a")) as atlas:
        (folder / "page.html").write_text(report(atlas), "utf-8")
    return folder / "page.html"


@pytest.fixture(scope="module")
def window(page):
    """One browser for all that needs no other width."""
    with browser.opened(page) as seen:
        yield seen


@pytest.fixture
def seen(window):
    """The page as after it was opened, and calm until the end."""
    go(window, "overview")
    yield window
    window.calm()


def go(seen, view):
    seen.page.evaluate(f"location.hash = '#{view}'")
    seen.page.wait_for_function(f"document.body.dataset.view === '{view.split('/')[0]}'")


@pytest.mark.parametrize("width, theme", [(360, "dark"), (3840, "light")])
def test_every_view_is_calm_and_fits(page, results, width, theme):
    with browser.opened(page, width=width, theme=theme) as seen:
        for view in VIEWS:
            go(seen, view)
            assert seen.text("main h1") and seen.overflow() <= 0, view
            small = seen.page.evaluate(
                "[...document.querySelectorAll('main p, main td, main .small, main .what')].filter("
                "(e) => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 9).length"
            )
            assert not small, view
        seen.page.goto(results.resolve().as_uri())
        for view in ("curves", "findings"):
            go(seen, view)
            assert seen.text("main h1") and seen.overflow() <= 0, view
        seen.calm()


def test_a_patch_is_read_by_pointer_and_by_keys(seen):
    go(seen, "picture/1")
    look = seen.page
    box = look.locator(".stage").bounding_box()
    look.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.55)
    first = seen.text(".readout b")
    assert first.startswith("row 5, column 5, ") and first.endswith("nats")
    assert seen.count(".readout li") == 8 and "certainty" in seen.text(".readout li")
    assert look.locator(".stage .heat").is_hidden()
    look.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.55)
    assert look.locator(".stage .heat").is_visible()
    look.mouse.move(box["x"] + 5, box["y"] + box["height"] * 0.9)
    assert seen.text(".readout b") == first  # it is kept
    look.keyboard.press("Escape")
    assert look.locator(".stage .heat").is_hidden()

    look.focus(".cells")
    before = seen.text(".readout b")
    look.keyboard.press("ArrowRight" if "column 8" not in before else "ArrowLeft")
    assert seen.text(".readout b") != before and look.evaluate("location.hash") == "#picture/1"
    look.keyboard.press("Enter")
    assert look.locator(".stage .heat").is_visible()
    name = seen.text(".readout li .name")
    assert seen.text(".shows").startswith(name)


def test_maps_are_shown_by_unit_and_by_word(seen):
    go(seen, "picture/1")
    look = seen.page
    heat = look.locator(".stage .heat")
    button = look.locator(".members .show").first
    button.click()
    assert button.get_attribute("aria-pressed") == "true" and heat.is_visible()
    drawn = button.locator(".heat").get_attribute("src")
    assert heat.get_attribute("src") == drawn
    assert seen.text(".shows").startswith("sand: strongest") or "strongest" in seen.text(".shows")  # fmt: skip # noqa: E501
    assert seen.text(".scale .low") == "0" and look.locator(".scale").is_visible()
    word = look.locator(".word").nth(1)
    word.hover()
    assert heat.get_attribute("src") == word.get_attribute("data-map")
    look.mouse.move(1, 1)
    assert heat.get_attribute("src") == drawn  # back to the unit
    word.focus()
    look.keyboard.press("Enter")
    assert word.get_attribute("aria-pressed") == "true"
    assert button.get_attribute("aria-pressed") == "false"
    assert seen.text(".shows") == "cat: 0.9 nats"
    look.click(".hide")
    assert heat.is_hidden() and seen.count("[aria-pressed=true]") == 0


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_picture_stays_beside_the_list_while_a_map_is_shown(page, width):
    with browser.opened(page, width=width, height=740) as seen:
        go(seen, "picture/1")
        button = seen.page.locator(".members .show").nth(9)
        button.scroll_into_view_if_needed()
        seen.page.evaluate("scrollBy(0, 250)")
        button.click()
        box = seen.page.locator(".look .stage").bounding_box()
        assert seen.page.locator(".stage .heat").is_visible()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 740 and box["height"] > 120
        if width >= 800:
            head = seen.page.locator("header.shell").bounding_box()
            assert box["y"] >= head["y"] + head["height"], "the head covers nothing of it"
        seen.calm()


def test_the_table_of_a_graph_is_open_for_thirty_rows(seen):
    go(seen, "graph")
    open_rows = "[...document.querySelectorAll('.ties tbody tr')].filter(e => e.checkVisibility())"
    total = seen.count(".ties tbody tr")
    assert seen.page.evaluate(f"{open_rows}.length") == min(30, total)
    if total > 30:
        seen.page.click("details.rest summary")
        assert seen.page.evaluate(f"{open_rows}.length") == total


def test_a_unit_that_is_not_listed_is_drawn_from_its_patches(seen):
    go(seen, "picture/1")
    look = seen.page
    listed = look.evaluate(
        "[...document.querySelectorAll('[data-unit]')].map((e) => e.dataset.unit)"
    )
    at = look.evaluate("JSON.parse(document.querySelector('.reading').dataset.codes).at")
    names = look.evaluate("JSON.parse(document.querySelector('.reading').dataset.codes).units")
    place, number = next((i, n) for i, on in enumerate(at) for n, _ in on if str(n) not in listed)  # fmt: skip # noqa: E501
    look.focus(".cells")
    row, column = (int(p.split()[1]) for p in seen.text(".readout b").split(",")[:2])
    for _ in range(abs(place // 8 + 1 - row)):
        look.keyboard.press("ArrowDown" if place // 8 + 1 > row else "ArrowUp")
    for _ in range(abs(place % 8 + 1 - column)):
        look.keyboard.press("ArrowRight" if place % 8 + 1 > column else "ArrowLeft")
    look.click(f".readout .name:text-is('{names[str(number)][1]}')")
    source = look.locator(".stage .heat").get_attribute("src")
    assert source.startswith("data:image/png") and seen.text(".shows") == names[str(number)][1]


def test_the_tree_moves_by_keys(seen):
    go(seen, "tree")
    look = seen.page
    here = "document.activeElement.innerText.split('\\n')[0].trim()"
    look.focus(".tree summary")
    assert look.evaluate(here) == "animal"
    look.keyboard.press("ArrowDown")
    assert look.evaluate(here) == "cat"
    look.keyboard.press("ArrowLeft")
    assert seen.count(".tree details[open] summary:has-text('cat')") == 1  # animal alone
    look.keyboard.press("ArrowLeft")
    assert look.evaluate(here) == "animal"
    look.keyboard.press("ArrowLeft")
    look.keyboard.press("ArrowDown")
    assert look.evaluate(here) == "plant"
    look.click("[data-all=close]")
    assert seen.count(".tree details[open]") == 0
    look.click("[data-all=open]")
    assert seen.count(".tree details:not([open])") == 0
    assert look.evaluate("location.hash") == "#tree"


def test_the_graph_lights_what_is_tied(seen):
    go(seen, "graph")
    look = seen.page
    node = look.locator(".node").first
    node.focus()
    ties = look.evaluate(
        "[...document.querySelectorAll('.field line')].filter((l) => l.dataset.ends.split(' ')"
        ".includes(document.activeElement.dataset.node)).length"
    )
    assert ties and seen.count("line.near") == ties and seen.count(".node.near") == ties + 1
    assert node.inner_text() in seen.text(".web .readout")
    look.evaluate("document.activeElement.blur()")
    assert seen.count(".near") == 0 and "Rest on a unit" in seen.text(".web .readout")
    node.click()
    assert look.evaluate("location.hash").startswith("#unit/")


def test_charts_take_the_theme(seen, results, page):
    look, colours = seen.page, []
    look.goto(results.resolve().as_uri() + "#curves")
    for theme in ("light", "dark"):
        look.emulate_media(color_scheme=theme)
        colours.append(look.evaluate(
            "['.drawing text', '.drawing [stroke*=accent]'].map((s) => document.querySelector(s))"
            ".map((e) => getComputedStyle(e)).map((s) => s.fill + s.stroke)"
        ))  # fmt: skip
    assert colours[0][0] != colours[1][0] and colours[0][1] != colours[1][1]
    assert look.locator(".drawing").first.bounding_box()["width"] > 300
    look.goto(page.resolve().as_uri())


def test_without_scripts_the_picture_still_tells_everything(seen, tmp_path):
    with web(tmp_path / "a")[0] as atlas:
        text = body("picture", viewer("picture")(atlas, 1), NotebookLinks(atlas))
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{text}", "utf-8")
    context = seen.page.context.browser.new_context(java_script_enabled=False)
    look = context.new_page()
    look.goto((tmp_path / "page.html").as_uri())
    assert look.locator(".members li").count() == 24 and look.locator(".reading").is_visible()
    assert look.locator(".hide").is_hidden() and look.locator(".switch").count() == 0
    context.close()


def test_a_word_without_a_map_shows_that_of_the_sentence(seen, results, page):
    seen.page.goto(results.resolve().as_uri() + "#picture/1")
    seen.page.wait_for_selector(".word")
    seen.page.locator(".word").nth(1).click()
    drawn = seen.page.locator(".claim .show .heat").get_attribute("src")
    assert seen.page.locator(".stage .heat").get_attribute("src") == drawn
    assert "that of the whole sentence" in seen.text(".shows")
    seen.page.goto(page.resolve().as_uri())
