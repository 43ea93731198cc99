"""One HTML page for one or many pairs: it opens from disk, needs no network, and holds it all.

The way is object → plain dict → template → page. Pictures are data URIs; the policy in the head
allows no connection and no script but ours, by its hash.
"""

import base64
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from legenda import __version__
from legenda.agreement import Agreement
from legenda.show.overlay import Scale
from legenda.show.pair import FEW, Shown, context
from legenda.show.view import plain

TEMPLATES = Path(__file__).parent / "templates"


def page(
    agreements: Sequence[Agreement | Shown],
    title: str = "Why they agree",
    *,
    shared: bool = False,
    refused: Sequence[str] = (),
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    template: str = "page.html",
    style: str = "",
    script: str = "",
    **more: Any,
) -> str:
    """A whole page; with `shared`, all maps have one scale and can be compared by colour.

    `labels` stand for the sentences in the index; `notes` are said at the top; `more` is for a
    `template` that says more than pairs.
    """
    scripts = _file("page.js", *script.split())
    pairs = [a if isinstance(a, Shown) else Shown(plain(a), a.picture) for a in agreements]
    scale = Scale.of(*(p.pair for p in pairs)) if shared and pairs else None
    return rendered(
        template,
        style=style,
        script=scripts,
        title=title,
        lead=_lead(pairs, refused, shared),
        pairs=[context(p, i, scale, len(pairs)) for i, p in enumerate(pairs, 1)],
        labels=list(labels) or [p.pair["sentence"] for p in pairs],
        notes=notes,
        refused=refused,
        **more,
    )


def rendered(template: str, *, style: str = "", script: str = "", **said: Any) -> str:
    """A whole page by `page.html`, or by a template that extends it.

    `style` names files that come after ours, with spaces between.
    """
    return _template(template).render(
        version=__version__,
        style=_file("page.css", *style.split()),
        script=script,
        script_hash=base64.b64encode(sha256(script.encode()).digest()).decode(),
        **said,
    )


def fragment(agreement: Agreement) -> str:
    """A pair for a notebook: no script, and rules that touch nothing around it."""
    one = context(Shown(plain(agreement), agreement.picture), 1, None, FEW + 1)
    body = _template("pair.html").render(pair=one)
    return f'<div class="legenda fragment"><style>{_file("page.css")}</style>{body}</div>'


def _lead(pairs: Sequence[Shown], refused: Sequence[str], shared: bool) -> str:
    flagged = sum(bool((p.pair["match"] or {}).get("flagged")) for p in pairs)
    said = "One pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    said += " of a picture and a sentence, explained."
    if flagged:
        who = "It" if len(pairs) == 1 else f"{flagged} of them"
        said += f" {who} {'does' if flagged == 1 else 'do'} not match."
    if refused:
        said += f" {len(refused)} could not be read; the reasons are at the end."
    return said + (" All maps share one scale." if shared else "")


def _file(*names: str) -> Any:
    """Files of ours, which need no escaping, one after the other."""
    from markupsafe import Markup

    return Markup("".join((TEMPLATES / name).read_text("utf-8") for name in names))


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    ).get_template(name)  # fmt: skip
