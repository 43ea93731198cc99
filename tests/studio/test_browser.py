"""The studio in a real browser, from a process of its own."""

import pytest

from tests.atlas.made import encoded, made
from tests.cli.latent_model import COLOUR
from tests.show.browser import needed, opened
from tests.studio.served import process

pytestmark = needed
PAGES = ("overview", "units", "unit/5", "pictures", "picture/1", "tree", "graph", "curves",
         "findings", "compare", "live")  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("atlas") / "squares.atlas")
    options = ("--model", COLOUR, "--model", "zoo:vq", "--model", "zoo:scenes")
    with process(folder, *options) as (url, _):
        yield url


BROKEN = """[...document.images].filter(
  (img) => img.getAttribute("src") && img.complete && !img.naturalWidth).length"""


def until(seen, true):
    """Wait until something is true; the policy of the page forbids what playwright would do."""
    for _ in range(400):
        if seen.page.evaluate(true):
            return
        seen.page.wait_for_timeout(50)
    raise AssertionError(true)


def test_every_view_without_a_complaint(url):
    with opened(f"{url}/") as seen:
        for page in PAGES:
            for width in (360, 1280):
                seen.page.set_viewport_size({"width": width, "height": 900})
                seen.page.goto(f"{url}/{page}")
                seen.page.wait_for_selector("html[data-ready=yes]")
                assert seen.overflow() <= 0, (page, width)
                assert not seen.page.evaluate(BROKEN), page
        seen.calm(network=True)
        assert all(one.startswith((url, "blob:")) for one in seen.asked), "nobody else is asked"


def test_views_are_walked_by_links_and_keys(url):
    with opened(f"{url}/") as seen:
        seen.page.keyboard.press("g")
        seen.page.keyboard.press("u")
        seen.page.wait_for_url("**/units")
        seen.page.fill(".filter input[type=search]", "cat")
        until(seen, "document.querySelectorAll('[data-results] a.card').length === 1")
        assert seen.page.url.endswith("/units?q=cat"), "what is asked stands in the address"
        seen.page.click("[data-results] a.card")
        seen.page.wait_for_url("**/unit/5")
        assert "cat" in seen.text("h1")
        seen.page.keyboard.press("j")
        seen.page.wait_for_url("**/unit/6")
        seen.page.go_back()
        seen.page.wait_for_url("**/unit/5")
        seen.page.keyboard.press("g")
        seen.page.keyboard.press("l")
        seen.page.wait_for_url("**/live")
        seen.calm(network=True)


def test_a_slider_moves_the_picture(url):
    with opened(f"{url}/live") as seen:
        place = "[data-tool=latents]"
        seen.page.click(f"{place} summary")
        seen.page.fill(f"{place} [name=model]", COLOUR)
        seen.page.click(f"{place} .open")
        seen.page.wait_for_selector(f"{place} .frame[data-turn='1']")
        first = seen.page.evaluate(SUM)
        field = seen.page.locator(f"{place} .sliders input").nth(2)
        assert seen.count(f"{place} .sliders input") == 6
        field.focus()
        for _ in range(5):
            seen.page.keyboard.press("ArrowRight")
        field.evaluate(
            "(e) => { e.value = 3; e.dispatchEvent(new Event('input', {bubbles: true})); }"
        )
        until(seen, "Number(document.querySelector('.frame').dataset.turn) >= 2")
        seen.page.wait_for_timeout(300)
        assert seen.page.evaluate(SUM) > first, "latent 2 is the size of a disc on black"
        assert float(seen.page.get_attribute(f"{place} .frame", "data-ms")) < 2000
        seen.page.click(f"{place} .measure")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='1']", timeout=60_000)
        assert "moves by lot" in seen.text(f"{place} .outcome")
        seen.calm(network=True)


def test_a_person_names_a_unit(tmp_path):
    folder = made(tmp_path / "a")
    with process(folder, "--edit") as (address, _), opened(f"{address}/unit/5") as seen:
        seen.page.click(".rename summary")
        seen.page.click(".rename button")
        seen.page.wait_for_selector(".rename .warning:not([hidden])")
        assert "no name by a person" in seen.text(".rename .warning")
        seen.page.fill(".rename input", "tabby <b>cat</b>")
        seen.page.click(".rename button")
        until(seen, "document.querySelector('h1')?.textContent === 'tabby <b>cat</b>'")
        assert "Named by a person" in seen.text("main")
        seen.complaints[:] = [one for one in seen.complaints if "422" not in one]  # it was refused
        seen.calm(network=True)


SUM = """() => {
  const canvas = document.createElement("canvas"), frame = document.querySelector(".frame");
  canvas.width = frame.naturalWidth; canvas.height = frame.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(frame, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height).data.reduce((a, b) => a + b, 0);
}"""


def test_a_sent_picture_is_explained(url, tmp_path):
    picture = tmp_path / "mine.webp"
    picture.write_bytes(encoded(9))
    with opened(f"{url}/live") as seen:
        place = "[data-tool=agreement]"
        seen.page.click(f"{place} .go")
        seen.page.fill(f"{place} textarea", "a red square")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .problem:not([hidden])")
        assert seen.text(f"{place} .problem") == "Choose a picture first."
        seen.page.set_input_files("input[type=file]", picture)
        until(seen, "document.querySelector('.which').textContent.includes('48 × 48')")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .working:not([hidden])")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='1']", timeout=60_000)
        assert "How far to trust the map" in seen.text(f"{place} .outcome")
        seen.page.focus(f"{place} .cells")
        seen.page.keyboard.press("ArrowRight")
        assert "row " in seen.text(f"{place} .readout")
        seen.calm(network=True)


def test_a_region_is_painted_and_searched_and_called_off(url):
    with opened(f"{url}/live?picture=2") as seen:
        place = "[data-tool=tokens]"
        seen.page.click(f"{place} summary")
        seen.page.fill(f"{place} [name=model]", "zoo:vq")
        seen.page.click(f"{place} .open")
        seen.page.wait_for_selector(f"{place} .region:not([disabled])", timeout=60_000)
        seen.page.click(f"{place} .rectangle")
        assert seen.text(f"{place} .chosen") == "4 of 256 cells are chosen."
        box = seen.page.locator("canvas").bounding_box()
        seen.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7)
        seen.page.mouse.down()
        seen.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.7, steps=8)
        seen.page.mouse.up()
        assert int(seen.text(f"{place} .chosen").split()[0]) >= 6, "a stroke takes what it crosses"
        seen.page.select_option(f"{place} [name=concept]", "cat")
        seen.page.fill(f"{place} [name=steps]", "2000")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .working:not([hidden])")
        seen.page.click(f"{place} .cancel")
        seen.page.wait_for_selector(f"{place} .problem:not([hidden])", timeout=60_000)
        assert seen.text(f"{place} .problem") == "Cancelled."
        seen.page.fill(f"{place} [name=steps]", "10")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='1']", timeout=60_000)
        assert "What judges say" in seen.text(f"{place} .outcome")
        seen.calm(network=True)


def test_concepts_are_chosen_to_be_changed(url):
    with opened(f"{url}/live", width=360, theme="dark") as seen:
        place = "[data-tool=concepts]"
        seen.page.click(".offered label >> nth=0")
        seen.page.click(f"{place} summary")
        seen.page.fill(f"{place} [name=model]", "zoo:scenes")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='1']", timeout=60_000)
        seen.page.click(f"{place} .heard button >> nth=0")
        assert seen.page.input_value(f"{place} [name=changes]").endswith(":off")
        seen.page.fill(f"{place} [name=sentences]", "a red square")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='2']", timeout=60_000)
        assert "after changes by lot" in seen.text(f"{place} .outcome")
        assert seen.overflow() <= 0
        seen.calm(network=True)
