"""What a person may see change in a row of pictures, by name.

One table for all who speak of it: what measures it, what puts it into words, and what asks
whether two answers say the same.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """Something that can grow or shrink.

    Parameters
    ----------
    name: short and stable.
    label: for sentences.
    less, more: words for its two ends.
    unit: of its measurement.
    circular: the value at which it returns to its start, such as 180 degrees; 0 for none.
    also: other words that mean it, as people and language models write them.
    """

    name: str
    label: str
    less: str
    more: str
    unit: str
    circular: float = 0.0
    also: tuple[str, ...] = ()


ATTRIBUTES = {
    one.name: one
    for one in (
        Attribute(
            "x",
            "horizontal position",
            "left",
            "right",
            "of the width",
            0.0,
            ("x position", "horizontal location", "x"),
        ),
        Attribute(
            "y",
            "vertical position",
            "top",
            "bottom",
            "of the height",
            0.0,
            ("y position", "vertical location", "height in the picture", "y"),
        ),
        Attribute(
            "size", "size", "small", "large", "of the picture", 0.0, ("scale", "area", "zoom")
        ),
        Attribute(
            "orientation",
            "orientation",
            "turned clockwise",
            "turned anticlockwise",
            "degrees",
            180.0,
            ("rotation", "angle", "tilt", "direction"),
        ),
        Attribute(
            "slant",
            "slant",
            "leaning left",
            "leaning right",
            "of the height",
            0.0,
            ("shear", "lean", "italic"),
        ),
        Attribute(
            "aspect",
            "proportion",
            "tall",
            "wide",
            "width by height",
            0.0,
            ("aspect ratio", "width", "narrowness"),
        ),
        Attribute(
            "elongation",
            "elongation",
            "compact",
            "elongated",
            "long by short axis",
            0.0,
            ("stretch", "length"),
        ),
        Attribute(
            "roundness",
            "roundness",
            "angular",
            "round",
            "of a disc's",
            0.0,
            ("shape", "circularity", "compactness", "form"),
        ),
        Attribute("convexity", "convexity", "notched", "convex", "of its hull", 0.0, ("solidity",)),
        Attribute(
            "symmetry",
            "left-right symmetry",
            "lopsided",
            "symmetric",
            "overlap with its mirror image",
            0.0,
            ("symmetry",),
        ),
        Attribute(
            "balance", "top-heaviness", "bottom-heavy", "top-heavy", "of the height", 0.0, ("skew",)
        ),
        Attribute(
            "stroke",
            "stroke width",
            "thin",
            "thick",
            "of the side",
            0.0,
            ("thickness", "line width", "boldness", "weight"),
        ),
        Attribute(
            "count",
            "number of pieces",
            "few",
            "many",
            "pieces",
            0.0,
            ("count", "number", "number of objects"),
        ),
        Attribute("holes", "number of holes", "closed", "holed", "holes", 0.0, ("loops",)),
        Attribute(
            "brightness",
            "brightness",
            "dark",
            "bright",
            "of white",
            0.0,
            ("lightness", "luminance", "exposure"),
        ),
        Attribute("contrast", "contrast", "flat", "contrasty", "of white", 0.0, ()),
        Attribute(
            "hue",
            "hue",
            "turning towards red",
            "turning away from red",
            "degrees",
            360.0,
            ("colour", "color", "object colour", "object color"),
        ),
        Attribute(
            "saturation",
            "saturation",
            "grey",
            "colourful",
            "of full colour",
            0.0,
            ("vividness", "colourfulness", "colorfulness"),
        ),
        Attribute(
            "warmth",
            "warmth of colour",
            "bluish",
            "reddish",
            "of full colour",
            0.0,
            ("colour temperature", "color temperature", "tint"),
        ),
        Attribute(
            "object_brightness",
            "brightness of the object",
            "dark",
            "bright",
            "of white",
            0.0,
            ("object brightness", "foreground brightness"),
        ),
        Attribute(
            "background",
            "brightness of the background",
            "dark",
            "bright",
            "of white",
            0.0,
            ("background", "background brightness", "background colour", "background color"),
        ),
        Attribute(
            "background_warmth",
            "colour of the background",
            "bluish",
            "reddish",
            "of full colour",
            0.0,
            ("background tint", "background hue"),
        ),
        Attribute(
            "light_x",
            "side of the light",
            "lit from the left",
            "lit from the right",
            "of the width",
            0.0,
            ("lighting direction", "azimuth", "pose"),
        ),
        Attribute(
            "light_y",
            "height of the light",
            "bright above",
            "bright below",
            "of the height",
            0.0,
            ("vertical lighting",),
        ),
        Attribute(
            "texture",
            "fine detail",
            "smooth",
            "detailed",
            "of white",
            0.0,
            ("texture", "sharpness", "blur", "detail"),
        ),
    )
}


FAMILIES = {
    "place across": ("x",),
    "place down": ("y",),
    "size": ("size",),
    "form": (
        "orientation", "slant", "aspect", "elongation", "roundness", "convexity", "symmetry",
        "balance", "stroke", "count", "holes",
    ),
    "colour": ("hue", "saturation", "warmth", "object_brightness"),
    "ground": ("brightness", "contrast", "background", "background_warmth"),
    "light": ("light_x", "light_y"),
    "detail": ("texture",),
}  # fmt: skip
"""Attributes that a person takes for one aspect: what turns an ellipse also makes it wider."""


def attribute_of(words: str) -> str:
    """The name of the attribute that some words mean, or the words themselves, in lower case.

    Examples
    --------
    >>> attribute_of("X Position"), attribute_of("hair length")
    ('x', 'hair length')
    """
    said = " ".join(words.lower().replace("_", " ").split()).removeprefix("the ")
    for name, one in ATTRIBUTES.items():
        if said in (name.replace("_", " "), one.label, *one.also):
            return name
    return said
