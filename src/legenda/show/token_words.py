"""What the page of tokens says of its numbers."""

from typing import Any

from legenda.describe.naming import PERSON
from legenda.show.palette import short
from legenda.show.words import between
from legenda.tasks.token_naming import TokenNames

Plain = dict[str, Any]
COARSE = 32
"""Crops of fewer pixels a side show hardly a thing."""


def lead(head: Plain) -> str:
    """What was read, and how much stands out."""
    found, apart = head["used"], head["standing"]
    return (
        f"{head['entries']} tokens of {head['model']}, of which {found} occur in {head['images']} "
        f"images of {len(head['classes'])} classes. {apart['found']} of {apart['asked']} pairs of "
        f"a class and a token stand out; with the labels shuffled, {apart['shuffled']}."
    )


def accuracy(head: Plain) -> str:
    """How well the concept model names what an image shows."""
    first = head["extractor"]["scores"][0]
    others = "".join(f", {one['name']} {short(one['value'])}" for one in head["extractor"]["scores"][1:])  # fmt: skip # noqa: E501
    return (
        f"The concept model {head['extractor']['name']} names the class first for "
        f"{counted(first)} of {head['extractor']['measured_on']}{others}; naming the most "
        f"frequent would reach {short(first['control'])}{between(first['control_interval'])}."
    )


def doubt(head: Plain) -> str:
    """The warning where the concept model knows nothing; nothing where it does."""
    first = head["extractor"]["scores"][0]
    if first["interval"][0] > first["control_interval"][1]:
        return ""
    return (
        "It is not surely better than that, so that what it finds important says little about "
        "the classes. More images, or more epochs, may help."
    )


def counted(found: Plain) -> str:
    """A number with its interval."""
    return f"{short(found['value'])}{between(found['interval'])}"


def often(card: Plain) -> str:
    """How often a token occurs."""
    if not card["cells"]:
        return "It occurs nowhere in these images."
    return (
        f"{card['cells']:,} cells, {percent(card['share'])} of all; in "
        f"{percent_of(card['images'])} of {card['images']['n']:,} images; {card['top']:,} of its "
        "cells are at top positions."
    )


def importance(card: Plain) -> str:
    """What its cells matter."""
    found = card["importance"]
    if found is None:
        return ""
    return (
        f"Mean importance {counted(found)} over {found['n']:,} images; all cells "
        f"{short(found['control'])}."
    )


def called(card: Plain) -> str:
    """How far to trust a name, or why there is none."""
    name = card["name"]
    if name is None:
        return "It has no name yet."
    best = [word for word, _ in name["candidates"] if word != name["text"]][:3]
    said = [] if name["text"] else [f"It has no name: {name['reason']}."]
    if name["text"] and name["null"] is not None:
        said.append(
            f"{short(name['score'])}, where crops with nothing in common reach "
            f"{short(name['null'])} by chance."
        )
    if name["by"] == PERSON:
        why = name["reason"]
        said = [f"{why[:1].upper()}{why[1:]}." if name["text"] else f"No word fits: {why}."]
    if name["crops"]:
        said.append(f"{name['crops']} crops; {'also' if name['text'] else 'nearest'}: {', '.join(best)}.")  # fmt: skip # noqa: E501
    check = name["check"]
    if check and name["text"]:
        said.append(
            f"It tells {check['n']} held-out crops from others with an AUROC of "
            f"{short(check['auroc'])}{between(check['interval'])}; a random word "
            f"{short(check['random'])}."
        )
    return " ".join(said)


def names(head: Plain) -> list[str]:
    """How many tokens have a name, beside what chance names; and how the names do."""
    found = head.get("names")
    if not found:
        return []
    rows, columns = found["crop"]
    clear = found["named"]["interval"][0] > found["dealt"]["interval"][1]
    said = (
        f"{found['count']} of {found['named']['n']} tokens with crops enough have a name, "
        f"{percent_of(found['named'])}, among {found['vocabulary']:,} words ({found['words']}) by "
        f"{found['by']}; with all crops dealt out to tokens by lot, {percent_of(found['dealt'])}"
        f"{'' if clear else ', which is not surely fewer'}. A crop is what is decoded around a "
        f"cell, {found['side']} × {found['side']} cells or {rows} × {columns} pixels."
    )
    if min(rows, columns) < COARSE:
        said += " In so few pixels there are colours and edges, and hardly things: take no name at its word."  # noqa: E501
    check = found["check"]
    if check is None:
        return [f"{said} No name could be checked on crops that were held out."]
    mine, other = check["names"], check["others"]
    said += (
        f" A name tells its token's held-out crops from those of others with a mean AUROC of "
        f"{counted(mine)} over {check['n']} names; a random word {counted(check['random'])}, "
        f"another token's name {counted(other)}"
    )
    sure = mine["interval"][0] > other["interval"][1]
    return [f"{said}{'.' if sure else ': the names are not surely better than that.'}"]


def about_names(found: TokenNames | None) -> Plain:
    """Names as a whole, as numbers: by what, how many, by chance, and how they do."""
    if found is None:
        return {}
    how, check = found.how, found.check
    count = sum(name.text is not None for name in found.names.values())
    said = {
        "by": how.model.ref, "method": repr(how.method), "level": how.level,
        "words": how.vocabulary.source, "vocabulary": len(how.vocabulary),
        "side": how.side, "crop": list(found.pixels), "count": count,
        "named": {**vars(found.named), "interval": list(found.named.interval)},
        "dealt": {**vars(found.shuffled), "interval": list(found.shuffled.interval)},
        "check": None,
    }  # fmt: skip
    if check is not None:
        rows = (("names", check.names), ("random", check.random), ("others", check.shuffled))
        means = {key: {"value": value, "interval": list(ends)} for key, (value, ends) in rows}
        said["check"] = {**means, "n": check.n}
    return {"names": said}


def words(cards: list[Plain]) -> dict[int, str]:
    """What tokens are called, those that are."""
    found = {card["token"]: card["name"] for card in cards if card["name"]}
    return {token: name["text"] for token, name in found.items() if name["text"]}


def headline(card: Plain) -> str:
    """A few words below its picture."""
    apart = [one["concept"] for one in card["classes"] if one["stands_out"]]
    if apart:
        return f"{apart[0]}{f' +{len(apart) - 1}' if len(apart) > 1 else ''}"
    return "no class" if card["cells"] else "unused"


def found(card: Plain) -> str:
    """The words that a card is found by: its name, and the classes it stands out for."""
    name = [card["name"]["text"]] if card["name"] and card["name"]["text"] else []
    apart = [one["concept"] for one in card["classes"] if one["stands_out"]]
    return " ".join(name + apart).casefold()


def exemplar(one: Plain) -> str:
    """Alt text of an exemplar."""
    return (
        f"{one['label']}: {one['image']}, row {one['row']}, column {one['column']}, importance "
        f"{short(one['importance'])}"
    )


def lift(one: Plain) -> str:
    """How much more often than by chance, and in how many images."""
    return f"{counted(one)} times, in {one['both']} images"


def chance(card: Plain) -> str:
    """The control of the company."""
    one = card["by_chance"]
    if one is None:
        return "in shuffled images, none is found so often"
    return f"strongest in shuffled images: {counted(one)} times"


def percent(share: float) -> str:
    """A share in percent."""
    return f"{short(100 * share)} %"


def percent_of(found: Plain) -> str:
    """A share in percent with its interval, as `40 [35, 45] %`."""
    low, high = found["interval"]
    return f"{short(100 * found['value'])} [{short(100 * low)}, {short(100 * high)}] %"


def cut(head: Plain, drawn: int, concepts: int) -> list[str]:
    """What is not on the page."""
    notes = []
    if drawn < head["entries"]:
        notes.append(
            f"This page shows {drawn} of {head['entries']} tokens: those of the lists, and the "
            "most important of the others. tokens.jsonl holds all."
        )
    if concepts < len(head["concepts"]):
        notes.append(
            f"It lists the tokens of {concepts} of {len(head['concepts'])} classes, in order of "
            "the alphabet. tokens.jsonl holds all."
        )
    return notes
