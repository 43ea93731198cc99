"""Screenshots of a report for the README and the docs: overview, unit, picture and tree.

    legenda demo                                            # writes demo.atlas and demo.html
    python tools/screenshots.py demo.html docs/pictures     # overview.png, unit.png, …
    python tools/screenshots.py demo.html docs/pictures --unit 27 --picture 3

Each is what a window of 1280 × 900 shows, in light colours, with the chromium of this machine, in
as many colours as fit into 150 kB, so that a clone stays light. Look at them before they are
committed: a page that is not worth a picture is not worth a reader's time either.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT, WEIGHT = 1280, 900, 150_000
COLOURS = (256, 192, 128, 96, 64, 48, 32)


def taken(page: Path, folder: Path, unit: int | None, picture: int | None) -> list[Path]:
    """Take the four screenshots; the surest unit and the first picture where none is named."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("screenshots need chromium. Install it, such as by apt-get install chromium.")
    made = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        look = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light",
            reduced_motion="reduce",
        )  # fmt: skip
        look.goto(page.resolve().as_uri())
        views = {
            "overview": "overview", "unit": f"unit/{unit or first(look, 'unit')}",
            "picture": f"picture/{picture or first(look, 'picture')}", "tree": "tree",
        }  # fmt: skip
        for name, view in views.items():
            turn(look, view)
            made.append(folder / f"{name}.png")
            made[-1].write_bytes(light(look.screenshot()))
        browser.close()
    return made


def first(look, view: str) -> str:
    """The number of the first page of a kind, as the report lists them: units surest first."""
    names = look.eval_on_selector_all("script[data-view]", "all => all.map(x => x.dataset.view)")
    found = [name.partition("/")[2] for name in names if name.startswith(f"{view}/")]
    if not found:
        sys.exit(f"this report has no page of a {view}. Make one of an atlas that holds some.")
    return found[0]


def turn(look, view: str) -> None:
    """Turn to a view, and wait for its pictures; on a picture the map of a sentence is shown."""
    look.evaluate("view => { location.hash = view; }", view)
    look.wait_for_timeout(1500)
    shows = look.locator(".claim .show")
    if view.startswith("picture/") and shows.count():
        shows.first.click()
    look.mouse.move(WIDTH - 1, HEIGHT - 1)
    look.wait_for_timeout(300)


def light(png: bytes) -> bytes:
    """The same in as many colours as the weight lets it have."""
    picture, data = Image.open(io.BytesIO(png)).convert("RGB"), png
    for colours in COLOURS:
        held = io.BytesIO()
        few = picture.quantize(colours, kmeans=3, dither=Image.Dither.NONE)
        few.save(held, "PNG", optimize=True)
        if len(data := held.getvalue()) <= WEIGHT:
            break
    return data


def main() -> None:
    """Take them, and say how large they are."""
    reads = argparse.ArgumentParser(description="Screenshots of a report.")
    reads.add_argument("page", type=Path, help="the report, such as demo.html")
    reads.add_argument("folder", type=Path, help="where they are written, such as docs/pictures")
    reads.add_argument("--unit", type=int, help="the unit that is shown; else the surest")
    reads.add_argument("--picture", type=int, help="the picture that is shown; else the first")
    asked = reads.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for path in taken(asked.page, asked.folder, asked.unit, asked.picture):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
