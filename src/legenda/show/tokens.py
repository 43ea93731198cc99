"""The tokens of a model as plain dicts, and as a page that is made from them.

The dicts are what `tokens.jsonl` holds and `--json` prints: a head about the whole, then a line
for every token. Pictures stand beside them, as sprites.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from legenda.core.cooccurrence import Lift
from legenda.explain.concept_tokens import RankedTokens
from legenda.show import token_words as say
from legenda.show.page import _file, rendered
from legenda.show.pair import _lines
from legenda.show.palette import short
from legenda.show.sprite import Sprite, sprite
from legenda.show.view import Plain, finite, score
from legenda.tasks.token_card import ClassShare, Exemplar, Importance, Share, TokenCard
from legenda.tasks.tokens import LISTED, TokenBook

SCHEMA = 1
CONCEPTS = 50
"""Lists of at most so many classes go on the page."""


def head(book: TokenBook, command: str = "", **settings: Any) -> Plain:
    """What is said of the whole; `settings` are said beside its own."""
    pairs = zip(book.ranking.lists, book.baseline.lists, strict=True)
    return finite(
        {
            "schema": SCHEMA,
            "kind": "tokens",
            "model": book.settings["model"],
            "entries": len(book.cards),
            "used": sum(card.cells > 0 for card in book.cards),
            "images": len(book.survey),
            "classes": book.survey.labels.counts,
            "by": book.ranking.by,
            "top": book.ranking.counts.top,
            "extractor": {
                "name": book.extractor,
                "measured_on": book.judged,
                "scores": [score(one) for one in book.accuracy],
            },
            "standing": {
                "found": book.standing, "shuffled": book.shuffled, "asked": book.asked,
            },
            **say.about_names(book.names),
            "concepts": [concept(mine, usual) for mine, usual in pairs],
            "drawn": list(book.drawn),
            "refused": list(book.survey.refused),
            "settings": {k: str(v) for k, v in {**book.settings, **settings}.items()},
            "command": command,
        }
    )  # fmt: skip


def concept(mine: RankedTokens, usual: RankedTokens) -> Plain:
    """The tokens of one class, beside those that are frequent in it."""
    both = set(mine.tokens[:LISTED].tolist()) & set(usual.tokens[:LISTED].tolist())
    return {
        "concept": mine.concept,
        "images": mine.images,
        "tokens": ranked(mine),
        "frequent": ranked(usual),
        "common": len(both),
    }


def ranked(found: RankedTokens) -> list[Plain]:
    """A list of tokens, the first first."""
    columns = (found.tokens, found.score, found.count, found.has, found.share, found.control)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {
            "token": token, "score": value, "count": count, "images": has,
            "share": {"value": share[0], "interval": share[1:]},
            "control": {"value": other[0], "interval": other[1:]},
            "stands_out": share[1] > other[2],
        }
        for token, value, count, has, share, other in rows
    ]  # fmt: skip


def line(card: TokenCard) -> Plain:
    """A card but for its pictures, ready for `json.dumps`."""
    return finite(
        {
            "schema": SCHEMA,
            "kind": "token",
            "token": card.token,
            "name": card.name and asdict(card.name),
            "cells": card.cells,
            "share": card.share,
            "images": measure(card.images),
            "top": card.top,
            "importance": card.importance and measure(card.importance),
            "classes": [class_share(one) for one in card.classes],
            "exemplars": [exemplar(one) for one in card.exemplars],
            "together": [lift(one) for one in card.together],
            "by_chance": card.by_chance and lift(card.by_chance),
            "neighbours": [{"token": n, "distance": gap} for n, gap in card.neighbours],
            "colour": colour(card),
        }
    )


def measure(found: Share | Importance) -> Plain:
    """A number with its interval and what it was measured on."""
    return {**vars(found), "interval": list(found.interval)}


def class_share(one: ClassShare) -> Plain:
    """What a token is to a class."""
    both = {"share": measure(one.share), "control": measure(one.control)}
    return {"concept": one.concept, "count": one.count, **both, "stands_out": one.stands_out}


def exemplar(one: Exemplar) -> Plain:
    """Where a token matters."""
    return {key: getattr(one, key) for key in ("image", "label", "row", "column", "importance")}


def lift(one: Lift) -> Plain:
    """How much more often than by chance two tokens are together."""
    return {
        "token": one.second, "value": one.value, "interval": list(one.interval),
        "both": one.together, "images": one.images,
    }  # fmt: skip


def colour(card: TokenCard) -> str | None:
    """The mean colour of the token as it decodes."""
    shown = card.company if card.company is not None and card.cells else card.alone
    if shown is None:
        return None
    mean = np.rint(shown.reshape(-1, 3).mean(0)).astype(int)
    return f"#{bytes(mean.tolist()).hex()}"


def page(book: TokenBook, said: Plain, lines: list[Plain]) -> str:
    """A whole page from the head, the lines of all tokens, and the pictures of the cards."""
    drawn = [book.cards[token] for token in said["drawn"]]
    sheets = {
        "alone": sprite([c.alone for c in drawn if c.alone is not None]),
        "company": sprite([c.company for c in drawn if c.company is not None]),
        "exemplar": sprite([e.crop for c in drawn for e in c.exemplars if e.crop is not None]),
    }
    places = {token: number for number, token in enumerate(said["drawn"])}
    lists = said["concepts"][:CONCEPTS]
    context = Context(sheets, places, say.words(lines))
    return rendered(
        "tokens.html",
        style="tokens.css",
        script=_file("tokens.js"),
        title=f"The tokens of {said['model']}",
        lead=say.lead(said),
        notes=[say.accuracy(said), *say.names(said), *say.cut(said, len(drawn), len(lists))],
        doubt=say.doubt(said),
        sheets={name: sheet.style for name, sheet in sheets.items() if sheet},
        concepts=[context.concept(one, number) for number, one in enumerate(lists)],
        top=said["top"],
        by=said["by"],
        cards=context.cards([lines[card.token] for card in drawn], drawn),
        refused=said["refused"],
        settings=said["settings"],
        command=_lines(said["command"]) if said["command"] else "",
    )


class Context:
    """What the template is given: strings, and the places of pictures."""

    def __init__(
        self, sheets: dict[str, Sprite | None], places: dict[int, int], words: dict[int, str]
    ):
        self.sheets, self.places, self.words = sheets, places, words

    def tile(self, sheet: str, number: int | None) -> str:
        """Where a picture stands; nothing where there is none."""
        found = self.sheets[sheet]
        return "" if found is None or number is None else found.place(number)

    def token(self, token: int) -> Plain:
        """A token that is mentioned: its number, and its name, picture and card where it has them."""  # noqa: E501
        place, word = self.places.get(token), self.words.get(token)
        return {"token": token, "word": word, "card": place is not None, "tile": self.tile("alone", place)}  # fmt: skip # noqa: E501

    def concept(self, one: Plain, number: int) -> Plain:
        """The lists of one class."""
        return {
            "id": f"class-{number + 1}", "name": one["concept"], "images": one["images"],
            "common": one["common"], "listed": min(LISTED, len(one["tokens"])),
            "lists": [
                (caption, [self.row(found) for found in one[key][:LISTED]])
                for caption, key in (("by importance", "tokens"), ("by frequency", "frequent"))
            ],
        }  # fmt: skip

    def row(self, found: Plain) -> Plain:
        """One token of a list."""
        shares = {key: say.percent_of(found[key]) for key in ("share", "control")}
        return {**self.token(found["token"]), **shares, "apart": found["stands_out"]}

    def cards(self, lines: list[Plain], drawn: list[TokenCard]) -> list[Plain]:
        """The cards, the most important first."""
        made, seen = [], 0
        for place, (one, card) in enumerate(zip(lines, drawn, strict=True)):
            crops = sum(e.crop is not None for e in card.exemplars)
            made.append(self.card(one, card, place, seen))
            seen += crops
        return made

    def card(self, one: Plain, card: TokenCard, place: int, seen: int) -> Plain:
        """One card."""
        shown = zip(one["exemplars"], card.exemplars, strict=True)
        return {
            **one, **self.token(one["token"]),
            "company": self.tile("company", place),
            "headline": say.headline(one), "often": say.often(one),
            "said_importance": say.importance(one),
            "mean": (one["importance"] or {"value": 0})["value"],
            "find": say.found(one), "called": say.called(one),
            "classes": [
                {**c, "share": say.percent_of(c["share"]), "control": say.percent_of(c["control"])}
                for c in one["classes"]
            ],
            "exemplars": [
                {
                    "tile": self.tile("exemplar", seen + number), "say": say.exemplar(plain),
                    "label": plain["label"], "cell": mark(whole),
                }
                for number, (plain, whole) in enumerate(shown)
            ],
            "together": [{**self.token(o["token"]), "say": say.lift(o)} for o in one["together"]],
            "chance": say.chance(one),
            "neighbours": [
                {**self.token(o["token"]), "say": short(o["distance"])} for o in one["neighbours"]
            ],
        }  # fmt: skip


def mark(one: Exemplar) -> str:
    """Where the cell lies in its crop, in percent."""
    (y, x), (rows, columns) = one.cell, one.around
    return f"left:{100 * x / columns:.4g}%;top:{100 * y / rows:.4g}%;width:{100 / columns:.4g}%;height:{100 / rows:.4g}%"  # noqa: E501
