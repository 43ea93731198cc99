"""Views as they lie in a report: inert, and without saying the same thing a thousand times.

A thousand pages of units are mostly one template. What stands in templates between two holes is a
phrase; a phrase becomes one letter of the private area of Unicode, and the page, which holds the
phrases once, puts them back. Words of others never have such letters: they are taken out here.
"""

import re
from collections.abc import Iterable
from functools import cache

from markupsafe import Markup

from legenda.show.page import TEMPLATES

START, MOST = 0xE000, 512
"""The first private letter, and how many phrases there may be."""
LEAST = 14
"""Letters of a phrase that is worth one."""
HOLE = re.compile(r"\{[{%].*?[%}]\}|\n", re.S)
INERT = re.compile(r"<(?=/script|!--|script)", re.I)
PRIVATE = re.compile("[\ue000-\uf8ff]")


@cache
def phrases(templates: tuple[str, ...]) -> tuple[str, ...]:
    """What stands between the holes of some templates, the longest first."""
    found: set[str] = set()
    for name in templates:
        text = (TEMPLATES / "atlas" / name).read_text("utf-8")
        found |= {part for part in HOLE.split(text) if len(part) >= LEAST and "<" in part}
    return tuple(sorted(found, key=lambda part: (-len(part), part))[:MOST])


def packed(view: Markup, known: Iterable[str]) -> Markup:
    """A view as it may lie in a script element: nothing in it ends that, or begins another."""
    text = PRIVATE.sub("\N{REPLACEMENT CHARACTER}", view)
    for number, phrase in enumerate(known):
        text = text.replace(phrase, chr(START + number))
    return Markup(INERT.sub(r"<\\", text))


def unpacked(text: str, known: Iterable[str]) -> str:
    """The view again; the page does the same in its script."""
    table = list(known)
    whole = PRIVATE.sub(lambda found: table[ord(found[0]) - START], text)
    return re.sub(r"<\\(?=/script|!--|script)", "<", whole, flags=re.I)
