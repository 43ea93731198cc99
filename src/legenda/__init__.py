"""Legenda writes the legend of a trained vision model.

>>> import legenda
>>> (agreement,) = legenda.explain("zoo:scenes", "photo.png", "a red house")  # doctest: +SKIP

Names are loaded when they are first used, so that importing legenda costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legenda.agreement import explain
    from legenda.core.dictionary import Identity
    from legenda.core.target import Contrast, Logit, Similarity
    from legenda.core.units import Units
    from legenda.errors import LegendaError
    from legenda.explain.bottleneck import InformationBottleneck
    from legenda.models.opening import open_model as open

__version__ = "0.1.0"
__all__ = [
    "Contrast",
    "Identity",
    "InformationBottleneck",
    "LegendaError",
    "Logit",
    "Similarity",
    "Units",
    "__version__",
    "explain",
    "open",
]

_HOMES = {
    "Contrast": "core.target:Contrast",
    "Identity": "core.dictionary:Identity",
    "InformationBottleneck": "explain.bottleneck:InformationBottleneck",
    "LegendaError": "errors:LegendaError",
    "Logit": "core.target:Logit",
    "Similarity": "core.target:Similarity",
    "Units": "core.units:Units",
    "open": "models.opening:open_model",
}


def __getattr__(name: str) -> Any:
    if name == "explain":
        return import_module("legenda.explain")
    if name not in _HOMES:
        raise AttributeError(f"module 'legenda' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    globals()[name] = found = getattr(import_module(f"legenda.{module}"), attribute)
    return found


def __dir__() -> list[str]:
    return __all__


class _Verb(ModuleType):
    """The package `legenda.explain`, which can also be called: `legenda.agreement.explain`."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return import_module("legenda.agreement").explain(*args, **options)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(import_module("legenda.agreement").explain)


class _Package(ModuleType):
    """Importing `legenda.explain` sets it here as a plain module, which would hide the verb."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "explain" and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
