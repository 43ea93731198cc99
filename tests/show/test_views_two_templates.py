import re

import pytest

from legenda.show.page import TEMPLATES

OURS = ("pictures", "picture", "tree", "graph", "curves", "findings", "compare")


def read(name):
    return (TEMPLATES / "atlas" / name).read_text("utf-8")


@pytest.mark.parametrize("name", OURS)
def test_a_template_trusts_nothing_and_runs_nothing(name):
    text = read(f"{name}.html")
    assert not re.search(r"\|\s*safe|<script|<style|\son[a-z]+=|javascript:|https?:", text)
    assert text.count("<h1") == 1
    for image in re.findall(r"<img[^>]*>", text):
        assert "alt=" in image, image


@pytest.mark.parametrize("name", OURS)
def test_what_scrolls_can_be_reached_by_keys_and_has_a_name(name):
    for opened in re.findall(r'<div class="(?:wide|canvas)"[^>]*>', read(f"{name}.html")):
        assert 'tabindex="0" role="region" aria-label="' in opened, opened


def test_the_script_has_one_name_and_listens_only_inside():
    text = read("views.js")
    tops = re.findall(r"^(?:function|const|let|var|class|window)\s*(\w*)", text, re.M)
    assert tops == ["legendaViews"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|document\.write", text)
    assert not re.search(r"(?:document|window|body)\.addEventListener", text)


def test_the_style_touches_nothing_outside_and_fetches_nothing():
    text = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^}]*\})*)\s*\}", r"\1", read("views.css"))
    for selectors in re.findall(r"([^{}]+)\{[^}]*\}", text):
        assert all(one.strip().startswith(".legenda ") for one in selectors.split(",")), selectors
    assert not re.search(r"url\(|@import|!important", text)
