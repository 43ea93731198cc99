"""Models that a stranger's function makes: `package.module:factory`."""

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from legenda.errors import LegendaError, Missing, Refused
from legenda.models.diffusion import Diffusion
from legenda.models.dual import Dual
from legenda.models.encoder import Encoder
from legenda.models.module import ModuleModel
from legenda.models.vae import VAE
from legenda.models.vq import VQ

Opened = Diffusion | Dual | Encoder | ModuleModel | VAE | VQ


def is_factory(ref: str) -> bool:
    """Whether a reference names a factory, `package.module:factory`."""
    return not ref.startswith(("zoo:", "hf:")) and ":" in ref and not Path(ref).exists()


def decodes(module: nn.Module) -> bool:
    """Whether a module encodes and decodes: then it is opened at its latents."""
    return callable(getattr(module, "encode", None)) and callable(getattr(module, "decode", None))


def made_by(ref: str) -> Opened | nn.Module:
    """What a factory makes; a plain module in float32."""
    made = called(ref, factory_of(ref))
    if not isinstance(made, nn.Module | Dual | Diffusion | Encoder | ModuleModel | VAE | VQ):
        raise Refused(
            f"{ref} returned {type(made).__name__}; legenda needs an nn.Module, or a model of "
            "its own."
        )
    return made.float() if isinstance(made, nn.Module) else made


def factory_of(ref: str) -> Callable[[], Any]:
    """What a reference names, if it can be called without arguments."""
    module, _, attribute = ref.partition(":")
    if not module or module.startswith("."):
        raise unnamed(ref, f"{module!r} is no absolute name of a module")
    try:
        home = called(ref, lambda: import_module(module), module)
        factory = getattr(home, attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise unnamed(ref, error) from None
    needs = f"a factory is a function that needs no arguments and returns a model; {ref}"
    if isinstance(factory, nn.Module) or not callable(factory):
        raise Refused(f"{needs} is a {type(factory).__name__}. Name a function.")
    try:
        signature(factory).bind()
    except TypeError:
        raise Refused(
            f"{needs} needs {signature(factory)}. Wrap it in a function that needs none."
        ) from None
    except ValueError:  # some callables of C do not say what they take
        pass
    return factory


def called(ref: str, call: Callable[[], Any], module: str = "") -> Any:
    """What a stranger's code returns, or the sentence that it failed.

    That `module` or a package around it is not there is for the caller.
    """
    try:
        return call()
    except LegendaError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        if lacks and f"{module}.".startswith(f"{lacks}."):
            raise
        raise Refused(
            f"{ref} raised {type(error).__name__}: {error}. Call it yourself to see where."
        ) from error


def unnamed(ref: str, why: object) -> Missing:
    """What to raise where a reference names no factory."""
    return Missing(f"{ref} names no factory that can be imported: {why}. Check the name.")
