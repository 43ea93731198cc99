"""Live: why a picture and sentences agree, as maps of both, with scores beside their shuffles."""

from dataclasses import replace
from typing import Any

from legenda.agreement import explanations
from legenda.show.pair import Shown, context
from legenda.show.site import environment
from legenda.show.view import plain
from legenda.studio.jobs import Report
from legenda.studio.live_asked import Explain
from legenda.studio.live_heard import Heard
from legenda.studio.live_kept import kept_agreement
from legenda.studio.live_pictures import chosen
from legenda.studio.state import Studio


def explained(studio: Studio, asked: Explain, report: Report) -> dict[str, Any]:
    """One article per sentence; in the atlas, where it may be changed."""
    dual = studio.bench.model("agreement", asked.model)
    picture, source, number = chosen(studio, asked.picture)
    count, found = len(asked.sentences), []

    def still() -> None:
        report("explaining", len(found), count)

    heard = replace(dual, image=Heard(dual.image, still), text=Heard(dual.text, still))
    for sentence in asked.sentences:  # one by one: each is heard when it is done
        found += explanations(heard, [picture], [sentence], seed=asked.seed)
    still()
    template = environment().get_template("pair.html")
    html, kept = [], None
    for i, pair in enumerate(found, 1):
        said = {**plain(pair), "source": source}
        html.append(template.render(pair=context(Shown(said, pair.picture), i, None, 1)))
        if studio.how.edit:
            kept = number = kept_agreement(studio.atlas, pair, number, asked.seed)
    figures = [{"sentence": p.sentence, "cosine": p.figures["cosine"]} for p in found]
    return {
        "html": "\n".join(html), "pairs": figures,
        "kept": None if kept is None else f"/picture/{kept}",
    }  # fmt: skip
