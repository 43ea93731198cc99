"""Every name a person can type, and the code it stands for: `name → module:attribute`.

Third parties add their own through the entry-point group `legenda`, with names such as
`explain.my_method`.
"""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from legenda.errors import Missing, near

CATALOG: dict[str, str] = {
    "zoo.scenes": "legenda.zoo.scenes.shipped:open_dual",
    "zoo.photos": "legenda.zoo.photos.shipped:open_dual",
    "reference.builtin": "legenda.zoo.reference:builtin",
    "explain.m2ib": "legenda.explain.bottleneck:InformationBottleneck",
}


def names(kind: str) -> list[str]:
    """The names of one kind, such as `explain`, ours and installed ones."""
    found = {**CATALOG, **{e.name: e.value for e in entry_points(group="legenda")}}
    return [n.split(".", 1)[1] for n in found if n.startswith(kind + ".")]


def lookup(kind: str, name: str) -> Any:
    """The code behind a name; unknown names suggest near ones."""
    installed = {e.name: e.value for e in entry_points(group="legenda")}
    spec = {**CATALOG, **installed}.get(f"{kind}.{name}")
    if spec is None:
        known = names(kind)
        raise Missing(
            f"there is no {kind} named {name!r}.{near(name, known)} Known: {', '.join(known)}."
        )
    module, _, attribute = spec.partition(":")
    return getattr(import_module(module), attribute)
