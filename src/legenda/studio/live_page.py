"""The page on which work is done live, and its files."""

from typing import Any

from legenda.show.page import TEMPLATES
from legenda.show.site import shown

PLACE = {"view": "live", "title": "Live", "key": "l"}
"""Its entry in the navigation: the view, its title, and the key after `g` that goes there."""
FILES = {
    "live.css": "studio/live.css", "live.js": "studio/live.js", "rename.js": "studio/rename.js",
    "edit.css": "edit.css",
}  # fmt: skip
OFFERED = 24
"""Pictures of the atlas that are offered at once."""


def live_view(studio: Any) -> dict[str, Any]:
    """What can be done, with which models, on which pictures."""
    rows = studio.atlas.all(
        "SELECT id, caption, source FROM pictures ORDER BY id LIMIT ?", OFFERED + 1
    )
    pictures = [
        {"id": row["id"], "alt": shown(row["caption"] or row["source"], 120)}
        for row in rows[:OFFERED]
    ]
    tools = ("agreement", "tokens", "latents", "concepts")
    return {
        "title": "Live", "edit": studio.how.edit, "pictures": pictures,
        "more": len(rows) > OFFERED, "most": studio.how.most >> 20,
        "models": {tool: studio.bench.offered(tool) for tool in tools},
    }  # fmt: skip


def assets() -> dict[str, bytes]:
    """Files of this page and of edits, by the name under `/static/`."""
    return {name: (TEMPLATES / place).read_bytes() for name, place in FILES.items()}
