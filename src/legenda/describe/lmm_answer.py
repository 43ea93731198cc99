"""What a language model said of a sheet, read: one JSON object, or an abstention with the reason.

An answer is {attribute, from, to, confidence, none}, and nothing else. A fence around it, thoughts
before it and words beside it are tolerated; a second object, an unknown field or a number out of
range are not: what cannot be read is never a description.

The attribute becomes a name of `core.attribute` where its words mean one, and the direction is
read off the two ends: each end is put on the side of the attribute whose words it uses.
"""

import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from legenda.core.answer import Answer
from legenda.core.attribute import ATTRIBUTES, attribute_of

NOTHING = "it saw no clear pattern"
THOUGHT = re.compile(r"<think>.*?</think>", re.S)
OWNER = r"(?:overall|object|shape|figure|item|sprite|picture|image)(?:['’]s)?"
QUOTED = 80
"""So many letters of what cannot be read are told."""

LESS_MORE = {
    "x": ("left west", "right east"),
    "y": ("top up high above", "bottom down low below"),
    "size": ("small little tiny far distant", "large big huge near close"),
    "orientation": ("clockwise", "anticlockwise counterclockwise counter-clockwise anti-clockwise"),
    "slant": ("left backward", "right forward"),
    "aspect": ("tall narrow upright thin vertical", "wide broad squat horizontal"),
    "elongation": ("compact short squat", "elongated long stretched thin"),
    "roundness": ("angular square rect triang point box sharp", "round circ disc disk oval ellip"),
    "convexity": ("notched concave dented", "convex full solid"),
    "symmetry": ("lopsided asymmetric uneven", "symmetric even"),
    "balance": ("bottom", "top"),
    "stroke": ("thin fine light slender", "thick bold heavy fat"),
    "count": ("few one single less fewer", "many several more two three four multiple"),
    "holes": ("closed filled solid none", "holed hole open loop ring hollow"),
    "brightness": ("dark black dim low", "bright light white high"),
    "contrast": ("flat low weak faint soft", "contrast high strong hard"),
    "saturation": ("grey gray pale dull muted", "colourful colorful vivid saturated rich"),
    "warmth": ("blue cold cool", "red warm orange yellow"),
    "object_brightness": ("dark black dim", "bright light white"),
    "background": ("dark black dim", "bright light white"),
    "background_warmth": ("blue cold cool", "red warm orange yellow"),
    "light_x": ("left", "right"),
    "light_y": ("above top", "below bottom"),
    "texture": ("smooth blur soft plain", "detail sharp rough textured fine crisp"),
}  # fmt: skip # noqa: E501
"""Beginnings of words for the two ends, beside those of the table of attributes."""

HUES = {"red": 0, "orange": 30, "yellow": 60, "green": 120, "cyan": 180, "turquoise": 180, "blue": 240, "purple": 280, "violet": 280, "magenta": 300, "pink": 330}  # fmt: skip # noqa: E501
"""Degrees. Ends further than 90 apart leave open which way round was gone."""
UNCLEAR = ("hue", "orientation", "y")
"""A larger number may lie at either end of these, as one counts from above or from below."""


class Said(BaseModel):
    """The form that an answer must have."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)
    attribute: str = ""
    start: str = Field("", alias="from")
    end: str = Field("", alias="to")
    confidence: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    none: bool = False

    @field_validator("attribute", "start", "end", mode="before")
    @classmethod
    def worded(cls, value: object) -> object:
        """Null says nothing; a number is a word too; and words are tidied."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = f"{value:g}"
        return " ".join(value.split()) if isinstance(value, str) else value or ""


def read(text: str) -> Answer:
    """The answer in what a language model said."""
    found = list(objects(THOUGHT.sub("", text)))
    if len(found) != 1:
        much = f"{len(found)} JSON objects" if found else "no JSON object"
        return Answer(abstained=f"its answer could not be read: it holds {much} ({quoted(text)})")
    try:
        said = Said.model_validate(found[0])
    except ValidationError as error:
        return Answer(abstained=f"its answer could not be read: {told(error)} ({quoted(text)})")
    if said.none or not said.attribute:
        return Answer(abstained=NOTHING, confidence=said.confidence)
    attribute = meant(said.attribute, said.start, said.end)
    return Answer(
        sentence(attribute, said.start, said.end), attribute, said.start, said.end,
        direction(attribute, said.start, said.end), confidence=said.confidence,
    )  # fmt: skip


def objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects in a text, outermost ones only."""
    reader, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = reader.raw_decode(text, at)
            yield found
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)


def meant(words: str, start: str = "", end: str = "") -> str:
    """The attribute that some words mean; ends tell which way a "position" changes.

    Examples
    --------
    >>> meant("Size of the object"), meant("position", "left", "right"), meant("hair length")
    ('size', 'x', 'hair length')
    """
    plain = attribute_of(words)
    bare = re.sub(rf"^(?:{OWNER}\s+)+|\s+(?:of|in)\s+(?:the\s+|an?\s+)?{OWNER}$", "", plain)
    found = plain if plain in ATTRIBUTES else attribute_of(bare)
    if found in ("position", "location", "placement"):
        sided = [name for name in ("x", "y") if direction(name, start, end)]
        return sided[0] if len(sided) == 1 else found
    return found if found in ATTRIBUTES else plain


def direction(attribute: str, start: str, end: str) -> int:
    """+1 where the attribute grows from `start` to `end`, -1 where it shrinks, 0 unknown.

    Examples
    --------
    >>> direction("size", "a large disc", "a smaller one"), direction("hue", "red", "yellow")
    (-1, 1)
    """
    numbers = [float(n) for n in (number(start), number(end)) if n]
    if len(numbers) == 2 and attribute not in UNCLEAR:
        return (numbers[1] > numbers[0]) - (numbers[1] < numbers[0])
    if attribute == "hue":
        return round_the_circle(start, end)
    before, after = side(attribute, start), side(attribute, end)
    return (after > before) - (after < before)


def side(attribute: str, words: str) -> int:
    """Which end of an attribute some words are of: -1, +1, or 0 for neither or both."""
    if attribute not in ATTRIBUTES:
        return 0
    one, ends = ATTRIBUTES[attribute], LESS_MORE.get(attribute, ("", ""))
    said = words.lower().strip()
    if said in (one.less, one.more):
        return 1 if said == one.more else -1
    heard = re.findall(r"[a-z-]+", said)
    less, more = (any(w.startswith(tuple(e.split())) for w in heard) if e else False for e in ends)
    return int(more) - int(less)


def round_the_circle(start: str, end: str) -> int:
    """The direction between two colours, along the shorter way."""
    places = [[HUES[w] for w in re.findall(r"[a-z]+", t.lower()) if w in HUES] for t in (start, end)]  # fmt: skip # noqa: E501
    if any(len(place) != 1 for place in places):
        return 0
    arc = (places[1][0] - places[0][0] + 180) % 360 - 180
    return 0 if abs(arc) > 90 else (arc > 0) - (arc < 0)


def number(words: str) -> str:
    """The number that an end is, if it is one, perhaps with its unit."""
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(?:%|°|px|pixels|degrees)?\s*", words)
    return found[1] if found else ""


def sentence(attribute: str, start: str, end: str) -> str:
    """What is said of the unit."""
    label = ATTRIBUTES[attribute].label if attribute in ATTRIBUTES else attribute
    ends = f" from {start}" * bool(start) + f" to {end}" * bool(end)
    return f"The {label} changes{ends}."


def told(error: ValidationError) -> str:
    """The first thing that is wrong with an answer."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "it"
    if first["type"] == "extra_forbidden":
        return f"nobody asked for {place!r}"
    return f"{place!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


def quoted(text: str) -> str:
    """The beginning of what was said."""
    plain = " ".join(text.split())
    return f"“{plain[:QUOTED]}{'…' if len(plain) > QUOTED else ''}”"
