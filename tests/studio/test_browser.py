"""The studio in a real browser."""

from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.atlas.made import encoded, made
from tests.cli.latent_model import COLOUR
from tests.show import browser
from tests.show.browser import needed, opened
from tests.studio.served import TINY, listening, opening

pytestmark = needed
PAGES = ("overview", "units", "unit/5", "pictures", "picture/1", "tree", "graph", "curves",
         "findings", "compare", "live")  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("atlas") / "squares.atlas")
    with listening(folder, opening(), models=(COLOUR, TINY, "zoo:vq", "zoo:scenes")) as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def open_once():
    """One browser for all of this file: nothing here has an event loop of its own."""
    with browser._shared.held():
        yield


BROKEN = """[...document.images].filter(
  (img) => img.getAttribute("src") && img.complete && !img.naturalWidth).length"""


def until(seen, true):
    """Wait until something is true; the policy of the page forbids what playwright would do."""
    from playwright.sync_api import Error

    for _ in range(400):
        with suppress(Error):  # a page that is just being left cannot be asked
            if seen.page.evaluate(true):
                return
        seen.page.wait_for_timeout(50)
    raise AssertionError(true)


def test_every_view_without_a_complaint(url):
    with opened(f"{url}/") as seen:
        for page in PAGES:
            seen.page.goto(f"{url}/{page}")
            seen.page.wait_for_selector("html[data-ready=yes]")
            for width in (360, 1280):
                seen.page.set_viewport_size({"width": width, "height": 900})
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
    with listening(folder, edit=True) as address, opened(f"{address}/unit/5") as seen:
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
        seen.page.fill(f"{place} [name=model]", TINY)
        seen.page.click(f"{place} .go")
        seen.page.fill(f"{place} textarea", "a red square")
        seen.page.click(f"{place} .go")
        seen.page.wait_for_selector(f"{place} .problem:not([hidden])")
        assert seen.text(f"{place} .problem") == "Choose a picture first."
        seen.page.set_input_files("input[type=file]", picture)
        until(seen, "document.querySelector('.which').textContent.includes('48 × 48')")
        seen.page.fill(f"{place} textarea", "x" * 301)
        seen.page.click(f"{place} .go")
        assert seen.text(f"{place} .problem") == (
            "Write 1 to 8 sentences, one in a line, each of at most 300 characters."
        )
        seen.page.fill(f"{place} textarea", "a red square")
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
        seen.page.fill(f"{place} [name=token]", "17")
        seen.page.click(f"{place} .write")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='2']", timeout=60_000)
        assert "set 17=1" in seen.text(f"{place} .outcome")
        seen.page.select_option(f"{place} [name=do]", "steer")
        seen.page.fill(f"{place} [name=by]", "-2.5")
        seen.page.click(f"{place} .write")
        seen.page.wait_for_selector(f"{place} .outcome[data-done='3']", timeout=60_000)
        assert "steer 17=-2.5" in seen.text(f"{place} .outcome")
        seen.calm(network=True)


def test_pictures_that_cannot_be_worked_on(url, tmp_path):
    from PIL import Image

    wrong, odd = tmp_path / "text.png", tmp_path / "scan.tiff"
    wrong.write_text("no picture")
    Image.new("RGB", (8, 8)).save(odd)
    which = "document.querySelector('.which').textContent"
    with opened(f"{url}/live?picture=999") as seen:
        until(seen, f"{which} === 'There is no picture 999 in this atlas that can be shown.'")
        seen.page.click(".offered label >> nth=0")
        until(seen, f"{which} === 'Picture 1 of the atlas.'")
        seen.page.set_input_files("input[type=file]", wrong)
        until(seen, f"{which}.endsWith('The picture before is still chosen.')")
        assert seen.page.is_visible(".subject .stage")
        seen.page.set_input_files("input[type=file]", odd)  # we read it, the browser does not
        until(seen, f"{which} === 'This browser cannot show that picture. Send it as PNG or JPEG.'")
        assert not seen.page.is_visible(".subject .stage")


def test_whoever_leaves_calls_work_off_and_a_server_that_stops_is_said(tmp_path):
    stay, place = ExitStack(), "[data-tool=tokens]"
    how = listening(made(tmp_path / "a"), opening(), models=("zoo:vq",))
    with stay:
        address = stay.enter_context(how)
        with opened(f"{address}/live?picture=1") as seen:

            def begin():
                seen.page.click(f"{place} summary")
                seen.page.fill(f"{place} [name=model]", "zoo:vq")
                seen.page.click(f"{place} .open")
                seen.page.wait_for_selector(f"{place} .region:not([disabled])", timeout=60_000)
                seen.page.click(f"{place} .rectangle")
                seen.page.fill(f"{place} [name=steps]", "2000")
                with seen.page.expect_response("**/api/live/search") as sent:
                    seen.page.click(f"{place} .go")
                return f"{address}/api/jobs/{sent.value.json()['job']}"

            job = begin()
            seen.page.goto(f"{address}/live?picture=1")
            for _ in range(200):
                if (news := httpx.get(job).json()["state"]) == "cancelled":
                    break
                seen.page.wait_for_timeout(50)
            assert news == "cancelled"
            begin()
            stay.close()  # as Ctrl-C does
            seen.page.wait_for_selector(f"{place} .problem:not([hidden])", timeout=20_000)
            assert seen.text(f"{place} .problem") == (
                "The studio does not answer. Start it again, and load this page again."
            )


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
