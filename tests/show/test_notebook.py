"""A view in a notebook: self-contained, and nothing around it is touched."""
# ruff: noqa: E501

import re

import pytest

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.show.notebook import FEW, display
from tests.atlas.made import made
from tests.show.test_page import Tags


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    with Atlas(made(tmp_path_factory.mktemp("notebook") / "a")) as held:
        yield held


def test_views_hold_their_pictures_and_ask_for_nothing(atlas):
    for view, of in (("overview", ()), ("units", ()), ("unit", (5,)), ("unit", (1,)), ("tree", ())):
        text = display(atlas, view, *of)._repr_html_()
        tags = Tags(text)
        assert text.startswith('<div class="legenda fragment"><style>') and not tags.of("script")
        assert not re.search(r"""(?:src|href)=["'](?!data:|#)|@import|url\((?!data:|#)""", text)
        faces = [one for one in tags.of("img") if "hidden" not in one and view != "units"]
        assert all((one.get("src") or "").startswith("data:image/") for one in faces)


def test_what_is_shown_is_what_was_asked(atlas):
    assert ">cat</h1>" in display(atlas, "unit", 5).html
    found = display(atlas, "units", q="fur").html
    assert "animal" not in found and found.count('class="card named"') == 1
    assert display(atlas, "units").html.count('<a class="card ') == min(FEW, 11)
    assert repr(display(atlas, "unit", 5)).startswith("Shown(")


def test_what_cannot_be_shown_is_refused(atlas):
    with pytest.raises(BadInput) as refused:
        display(atlas, "unit")
    assert str(refused.value) == "display shows one unit; say which: display(atlas, 'unit', 5)."
    with pytest.raises(BadInput) as refused:
        display(atlas, "unit", 77)
    assert "there is no unit '77'" in str(refused.value)
