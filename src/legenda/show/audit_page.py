"""The page of an audit, made from its dict; pictures of tokens stand beside it, as sprites."""

from collections.abc import Mapping, Sequence

from legenda.show import audit_words as say
from legenda.show.page import rendered
from legenda.show.pair import _lines
from legenda.show.palette import short
from legenda.show.sprite import sprite
from legenda.show.token_words import counted, percent, percent_of
from legenda.show.tokens import mark
from legenda.show.view import Plain
from legenda.tasks.audit import LISTED
from legenda.tasks.audit_findings import Look


def page(looks: Mapping[int, Look], said: Plain) -> str:
    """A whole page from the dict and the pictures of its tokens."""
    context = Context(looks)
    found, unequal = said["shortcuts"], said["differing"]
    return rendered(
        "audit.html",
        style="tokens.css",
        title=f"An audit: {said['groups'][0]} and {said['groups'][1]}",
        lead=say.lead(said),
        notes=say.notes(said),
        doubt=say.doubt(said),
        sheets={name: sheet.style for name, sheet in context.sheets.items() if sheet},
        shortcuts=found and say.shortcuts(said),
        flagged=[context.flagged(said, one) for one in (found or {"flagged": []})["flagged"]],
        lean=lean_shown(said["lean"]),
        silent=say.lean(said) if said["silent"] else "",
        differing=unequal and [context.unequal(o) for o in unequal["tokens"] if "interval" in o],
        by_lot=unequal and say.by_lot(said),
        groups=said["groups"],
        lists=[context.listed(one, said["shared"]) for one in said["lists"]],
        images=[sizes(part, counts, said["groups"]) for part, counts in said["images"].items()],
        refused=said["refused"],
        settings=said["settings"],
        command=_lines(said["command"]) if said["command"] else "",
    )  # fmt: skip


def sizes(part: str, counts: Sequence[int], groups: Sequence[str]) -> tuple[str, str]:
    """How many images a part has."""
    if len(counts) == 1:
        return part, f"{counts[0]}"
    return part, ", ".join(f"{n} of {g}" for n, g in zip(counts, groups, strict=True))


def lean_shown(found: Plain | None) -> Plain | None:
    """The lean of neutral images as strings."""
    if found is None:
        return None
    return {
        "chart": chart(found["value"], found["interval"], found["control"]),
        "rows": [
            ("δ", counted(found)), ("images", str(found["n"])),
            ("95 % of random pairs of lists", say.between(found["control"]).strip()),
            ("random pairs that lean as far", percent(found["beyond"])),
            ("Wilcoxon's p, paired", short(found["wilcoxon"])),
            ("sign test's p, paired", short(found["sign"])),
        ],
    }  # fmt: skip


def chart(value: float, interval: Sequence[float], control: Sequence[float]) -> Plain:
    """A δ from -1 to 1 in a box of 300 × 24: value, interval, and the control's interval."""

    def at(delta: float) -> float:
        return round(150 * (1 + delta), 1)

    return {
        "say": say.chart({"value": value, "interval": interval, "control": control}),
        "x": at(value),
        "spread": [at(end) for end in interval],
        "control": {"x": at(control[0]), "w": max(1.0, round(at(control[1]) - at(control[0]), 1))},
    }


class Context:
    """What the template is given of tokens: strings, and the places of pictures."""

    def __init__(self, looks: Mapping[int, Look]):
        alone = {token: one.alone for token, one in looks.items() if one.alone is not None}
        crops = [(t, e.crop) for t, one in looks.items() for e in one.exemplars if e.crop is not None]  # fmt: skip # noqa: E501
        self.looks = looks
        self.sheets = {
            "alone": sprite(list(alone.values())), "exemplar": sprite([crop for _, crop in crops]),
        }  # fmt: skip
        self.alone = {token: number for number, token in enumerate(alone)}
        self.crops: dict[int, list[int]] = {}
        for number, (token, _) in enumerate(crops):
            self.crops.setdefault(token, []).append(number)

    def token(self, token: int) -> Plain:
        """A token that is mentioned: its number, and its picture where it has one."""
        sheet, place = self.sheets["alone"], self.alone.get(token)
        tile = "" if sheet is None or place is None else sheet.place(place)
        return {"token": token, "tile": tile}

    def flagged(self, said: Plain, one: Plain) -> Plain:
        """A flagged token."""
        return {
            **self.token(one["token"]),
            "toward": one["toward"],
            "chart": chart(one["value"], one["interval"], one["chance"]),
            "lines": say.flagged(said, one),
            "exemplars": self.exemplars(one["token"]),
            "substitute": self.token(one["substitute"]),
        }

    def exemplars(self, token: int) -> list[Plain]:
        """Where a token matters most."""
        sheet, look = self.sheets["exemplar"], self.looks.get(token)
        if sheet is None or look is None:
            return []
        return [
            {
                "tile": sheet.place(number), "cell": mark(one), "label": one.label,
                "say": f"{one.label}: {one.image}, row {one.row}, column {one.column}",
            }
            for number, one in zip(self.crops.get(token, []), look.exemplars, strict=True)
        ]  # fmt: skip

    def unequal(self, one: Plain) -> Plain:
        """A token that two groups hold unequally often."""
        a, b = map(str, one["images"])
        return {
            **self.token(one["token"]), "delta": counted(one), "p": short(one["adjusted"]),
            "a": a, "b": b,
        }  # fmt: skip

    def listed(self, one: Plain, shared: Sequence[int]) -> Plain:
        """The first tokens that the concept model rests on in a group."""
        rows = [
            {
                **self.token(found["token"]), "shared": found["token"] in shared,
                "share": percent_of(found["share"]), "control": percent_of(found["control"]),
            }
            for found in one["tokens"][:LISTED]
        ]  # fmt: skip
        return {"group": one["group"], "rows": rows}
