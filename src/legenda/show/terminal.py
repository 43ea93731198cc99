"""A pair in a terminal: words with bars, and the figures."""

from typing import Any

from legenda.show.palette import short
from legenda.show.words import judge, matched, warning

Plain = dict[str, Any]
WIDTH = 24
PARTS = " ▏▎▍▌▋▊▉█"


def card(pair: Plain) -> Any:
    """A rich table of words and what the agreement owes to each, under the figures."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="left", overflow="fold", max_width=28)
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    scores = [w["score"] or 0.0 for w in pair["words"]]
    most = max(map(abs, scores), default=0.0) or 1.0
    for word, score in zip(pair["words"], scores, strict=True):
        table.add_row(Text(word["text"]), f"{short(score)}", bar(abs(score) / most))
    said = warning(pair)
    lines = [Text(f"{pair['source']}: {pair['sentence']}", style="bold"), Text(figures(pair))]
    if said:
        lines.append(Text(f"This pair does not match. {said}", style="yellow"))
    elif matched(pair):
        lines.append(Text(matched(pair)))
    lines += [Text(f"{s['name'].replace('_', ' ')}: {judge(s)}") for s in pair["scores"]]
    return Group(*lines, Text(f"words, in {pair['unit']}:"), table, Text(""))


def figures(pair: Plain) -> str:
    """The figures of a pair on one line."""
    numbers = pair["figures"]
    said = [f"cosine {short(numbers.get('cosine'))}"]
    for tower, name in (("image", "picture"), ("text", "sentence")):
        if numbers.get(f"{tower} bottlenecked") is not None:
            said.append(
                f"{name} bottlenecked {short(numbers[f'{tower} bottlenecked'])} "
                f"(blocked {short(numbers.get(f'{tower} blocked'))})"
            )
    total = numbers.get("image total")
    return ", ".join(said) + (f"; map {short(total)} {pair['unit']}" if total is not None else "")


def bar(share: float) -> str:
    """A bar in eighths of a letter."""
    eighths = round(share * WIDTH * 8)
    return "█" * (eighths // 8) + (PARTS[eighths % 8] if eighths % 8 else "")
