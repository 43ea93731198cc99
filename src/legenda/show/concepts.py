"""The concepts of pictures, shown: each with its name, its map, and how far to trust it.

The way is object → plain dict → template → page, as for pairs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from legenda.corpus.view_box import Preprocess
from legenda.describe.naming import Name
from legenda.explain.hierarchy import Hierarchy
from legenda.show.hierarchy_svg import drawing
from legenda.show.page import _file, rendered
from legenda.show.pair import _uri
from legenda.show.palette import short
from legenda.tasks.exemplars import Exemplars
from legenda.tasks.image_concepts import ImageConcept
from legenda.tasks.reading import PictureRead

Plain = dict[str, Any]
TITLE = "What the model sees, and where"
LARGE, SMALL, DIM = 512, 168, 0.22
NONE = "no name"


def plain(
    read: PictureRead, names: Sequence[Name] = (), relations: Hierarchy | None = None
) -> Plain:
    """What is said of one picture, as numbers and words."""
    known = {name.unit: name for name in names}
    words = {name.unit: name.word for name in names if name.word}
    made = read.caption
    return {
        "schema": 1,
        "kind": "concepts",
        "source": read.source,
        "caption": None if made is None else {"text": made.text, "by": made.by, "held": made.held},
        "concepts": [one(c, known.get(c.unit), words, relations) for c in read.concepts],
        **read.more,
    }


def one(concept: ImageConcept, name: Name | None, words: dict[int, str], relations: Hierarchy | None) -> Plain:  # fmt: skip # noqa: E501
    """One concept of a picture."""
    check = name.check if name else None
    said: Plain = {
        "unit": concept.unit,
        "word": concept.word,
        "place": concept.place,
        "strongest": concept.strongest,
        "mass": concept.mass,
        "share": concept.share,
        "map": [[round(float(v), 4) for v in row] for row in concept.map],
        "why": (name.reason if name else "") or "",
        "by": name.by if name else "",
        "also": [word for word, _ in name.candidates if word != concept.word][:3] if name else [],
        "check": None,
        "parents": [],
        "children": [],
    }
    if check is not None and check.auroc == check.auroc:
        said["check"] = {"auroc": check.auroc, "interval": list(check.interval), "random": check.random, "images": check.images}  # fmt: skip # noqa: E501
    if relations is not None and concept.unit in relations:
        said["parents"] = [relative(e.parent, e, words) for e in relations.parents(concept.unit)]
        said["children"] = [relative(e.child, e, words) for e in relations.children(concept.unit)]
    return said


def relative(unit: int, edge: Any, words: dict[int, str]) -> Plain:
    """A unit that an edge leads to."""
    return {"unit": unit, "word": words.get(unit), "kind": edge.kind, "share": edge.weighted, "interval": list(edge.interval)}  # fmt: skip # noqa: E501


def page(
    found: Sequence[tuple[Plain, Image.Image]],
    preprocess: Preprocess,
    relations: Hierarchy | None = None,
    words: dict[int, str] | None = None,
    exemplars: Exemplars | None = None,
    *,
    title: str = TITLE,
    lead: str = "",
    refused: Sequence[str] = (),
    command: str = "",
) -> str:
    """A whole page of one or several pictures, and of the hierarchy that their concepts are in."""
    return rendered(
        "concepts.html", style="concepts.css", script=_file("concepts.js"), title=title,
        lead=lead or counted(found), notes=[], refused=list(refused), command=command,
        pairs=[], **context(found, preprocess, relations, words, exemplars),
    )  # fmt: skip


def context(
    found: Sequence[tuple[Plain, Image.Image]],
    preprocess: Preprocess,
    relations: Hierarchy | None = None,
    words: dict[int, str] | None = None,
    exemplars: Exemplars | None = None,
    first: int = 1,
) -> Plain:
    """What the article's template needs; articles are numbered from `first`."""
    from markupsafe import Markup

    tree = drawing(relations, words or {}) if relations is not None and len(relations) else ""
    seen = [article(*one, preprocess, i, exemplars) for i, one in enumerate(found, first)]
    return {"seen": seen, "tree": Markup(tree)}


def article(
    said: Plain, picture: Image.Image, preprocess: Preprocess, number: int,
    exemplars: Exemplars | None = None,
) -> Plain:  # fmt: skip
    """One picture and its concepts, drawn."""
    shown = picture.convert("RGB")
    shown.thumbnail((LARGE, LARGE))
    most = max((c["strongest"] for c in said["concepts"]), default=1.0)
    known = exemplars or Exemplars(Image.new("RGB", (1, 1)), {})
    return {
        "id": f"seen-{number}",
        "source": said["source"],
        "picture": _uri(shown, "jpeg", quality=88),
        "ratio": f"{shown.width / shown.height:.5g}",
        "caption": said["caption"],
        "concepts": [
            {
                **drawn(c, shown, preprocess, most, f"{number}-{i}"),
                "elsewhere": strip(known.of(c["unit"])),
            }
            for i, c in enumerate(said["concepts"])
        ],
    }


def drawn(concept: Plain, picture: Image.Image, preprocess: Preprocess, most: float, number: str) -> Plain:  # fmt: skip # noqa: E501
    """A concept with its map over the picture, and its words."""
    lit = spotlight(np.array(concept["map"], np.float32), picture, preprocess)
    small = lit.copy()
    small.thumbnail((SMALL, SMALL))
    word = concept["word"] or f"unit {concept['unit']}"
    return {
        **concept,
        "id": f"concept-{number}",
        "title": word,
        "named": concept["word"] is not None,
        "lit": _uri(lit, "jpeg", quality=80),
        "small": _uri(small, "jpeg", quality=82),
        "alt": f"{word}, {concept['place']}: the picture is dark where the unit is off",
        "bar": f"{100 * concept['strongest'] / most:.0f}%" if most else "0%",
        "figures": f"strength {short(concept['strongest'])}, {100 * concept['share']:.0f} % of the picture, {concept['place']}",  # fmt: skip # noqa: E501
        "trust": trust(concept),
        "kin": kin(concept),
    }


def strip(tiles: Sequence[Image.Image]) -> str:
    """Exemplars side by side; nothing where there are none."""
    if not tiles:
        return ""
    wide, high = tiles[0].size
    made = Image.new("RGB", (wide * len(tiles) + 2 * (len(tiles) - 1), high), "white")
    for number, tile in enumerate(tiles):
        made.paste(tile, (number * (wide + 2), 0))
    return _uri(made, "jpeg", quality=82)


def trust(concept: Plain) -> str:
    """How far to trust a name, in one sentence."""
    if concept["word"] is None:
        return concept["why"] or "It has not been named yet."
    if concept["by"] == "a person":
        return "Named by a person."
    check = concept["check"]
    if check is None:
        return "The name has not been checked on held-out pictures."
    low, high = check["interval"]
    return (
        f"On {check['images']} held-out pictures the word tells its patches with an AUROC of "
        f"{check['auroc']:.2f} [{low:.2f}, {high:.2f}]; a random word with {check['random']:.2f}."
    )


def kin(concept: Plain) -> list[str]:
    """Relatives in words: `a kind of fruit (.93 [.90, .95])`."""
    said = []
    ways = {"is-a": ("a kind of", "kinds"), "part-of": ("a part of", "parts"), "beside": ("found with", "found with it")}  # fmt: skip # noqa: E501
    for one in concept["parents"]:
        low, high = one["interval"]
        how = ways.get(one["kind"], ("under", ""))[0]
        said.append(f"{how} {one['word'] or 'unit ' + str(one['unit'])} ({one['share']:.2f}; {low:.2f} to {high:.2f})")  # fmt: skip # noqa: E501
    for kind in dict.fromkeys(one["kind"] for one in concept["children"]):
        own = [one["word"] or f"unit {one['unit']}" for one in concept["children"] if one["kind"] == kind]  # fmt: skip # noqa: E501
        rest = f" and {len(own) - 4} more" if len(own) > 4 else ""
        said.append(f"{ways.get(kind, ('', 'below it'))[1]}: {', '.join(own[:4])}{rest}")
    return said


def spotlight(
    map: Float[np.ndarray, "h w"], picture: Image.Image, preprocess: Preprocess
) -> Image.Image:
    """The picture, dark where a unit is off; what the model did not see is dark, too."""
    import torch

    top = float(map.max())
    spread = preprocess.draw_back(torch.from_numpy(map / (top or 1.0)), picture.size)
    light = np.nan_to_num(spread.numpy(), nan=0.0).clip(0, 1)[..., None]
    pixels = np.asarray(picture, np.float32)
    grey = pixels.mean(2, keepdims=True)
    dark = DIM * (0.4 * pixels + 0.6 * grey)
    return Image.fromarray((light * pixels + (1 - light) * dark).astype(np.uint8))


def counted(found: Sequence[tuple[Plain, Image.Image]]) -> str:
    """The first line of a page."""
    many = sum(len(said["concepts"]) for said, _ in found)
    named = sum(c["word"] is not None for said, _ in found for c in said["concepts"])
    pictures = "one picture" if len(found) == 1 else f"{len(found)} pictures"
    return f"{many} concepts of {pictures}, {named} of them named; each where it is on."
