"""What the page of tokens says of its numbers."""

from typing import Any

from legenda.show.palette import short
from legenda.show.words import between

Plain = dict[str, Any]


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


def headline(card: Plain) -> str:
    """A few words below its picture."""
    apart = [one["concept"] for one in card["classes"] if one["stands_out"]]
    if apart:
        return f"{apart[0]}{f' +{len(apart) - 1}' if len(apart) > 1 else ''}"
    return "no class" if card["cells"] else "unused"


def found(card: Plain) -> str:
    """The words that a card is found by: its name, and the classes it stands out for."""
    name = [card["name"]["text"]] if card["name"] else []
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
