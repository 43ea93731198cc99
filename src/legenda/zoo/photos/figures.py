"""What was measured and trained on, as data and between the marks of the model card."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .measure import Measure
from .pairs import Pair, gallery

CARD = Path(__file__).with_name("card.md")


def write(out: Path, measures: Sequence[Measure], pairs: Sequence[Pair], made: str) -> None:
    """Write `measures.json`, and `card.md` with the figures between their marks."""
    rows = {"made": made, "measures": [asdict(measure) for measure in measures]}
    (out / "measures.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")
    card = filled(CARD.read_text("utf-8"), "pairs", counts(pairs))
    body = f"{made}\n\n{table(measures)}"
    (out / CARD.name).write_text(filled(card, "measured", body), "utf-8")


def held_out_entries(pairs: Sequence[Pair], seed: int = 0) -> dict[str, list[dict[str, str]]]:
    """The galleries of the validation and the test families, to ship beside the heads."""
    return {
        part: [
            {"picture": pairs[i].picture, "title": pairs[i].title, "caption": pairs[i].caption}
            for i in gallery(pairs, part, seed)
        ]
        for part in ("validation", "test")
    }


def counts(pairs: Sequence[Pair]) -> str:
    """How many pairs and families each source gives to each part, as a markdown table."""
    parts = ("train", "validation", "test")
    lines = ["| source | " + " | ".join(parts) + " |", "|---|--:|--:|--:|"]
    for source in ("emoji", "tuxpaint", "openclipart"):
        chosen = [[p for p in pairs if (p.source, p.split) == (source, part)] for part in parts]
        cells = [f"{len(some)} in {len({p.family for p in some})} families" for some in chosen]
        lines.append(f"| {source} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(measures: Sequence[Measure]) -> str:
    """The measures as a markdown table."""
    lines = ["| measure | value | 95 % interval | n | chance |", "|---|--:|--:|--:|--:|"]
    for m in measures:
        low, high = m.interval
        lines.append(
            f"| {m.name} | {m.value:.3f} | {low:.3f}–{high:.3f} | {m.n} | {m.chance:.4f} |"
        )
    return "\n".join(lines)


def filled(card: str, part: str, body: str) -> str:
    """The model card with one marked part replaced."""
    start, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, rest = card.split(start, 1)
    after = rest.split(end, 1)[1]
    return f"{before}{start}\n{body}\n{end}{after}"
