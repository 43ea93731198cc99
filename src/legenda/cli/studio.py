"""`legenda studio ATLAS [--edit] [--model REF]`."""

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import say, show, tell
from legenda.errors import BadInput, Missing, Unsupported

PORT = 8377


def studio(
    atlas: Path,
    /,
    *,
    edit: Annotated[bool, Parameter(negative="")] = False,
    model: Annotated[list[str] | None, Parameter(negative="")] = None,
    against: Path | None = None,
    device: str = "cpu",
    port: str | None = None,
    host: str = "127.0.0.1",
    json: Annotated[bool, Parameter(negative="")] = False,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> int:
    """Look at an atlas in a browser, and work with its models while you look.

    It is served to this machine alone, until Ctrl-C, and read only unless --edit is given.

    Parameters
    ----------
    atlas
        A folder that holds an atlas.
    edit
        Keep names that you give, and results of live work, in the atlas.
    model
        A model that live work may open, beside the shipped ones that the atlas names; may be given
        again.
    against
        Another atlas, to compare with.
    device
        Where models are opened, such as cpu or cuda:0.
    port
        Of the address, 8377 unless said; 0 takes a free one.
    host
        This machine: 127.0.0.1, ::1 or localhost.
    json
        The address on stdout as JSON.
    open_
        Show it in a browser.
    """
    from legenda.atlas.store import Atlas
    from legenda.models.opening import checked_device

    needed()
    number = port_of(port)
    checked_device(device)
    held = Atlas(writable(there(atlas)) if edit else there(atlas), write=edit)
    other = None if against is None else Atlas(there(against))
    from legenda.studio.app import application
    from legenda.studio.serve import address, bound, serve
    from legenda.studio.state import Settings

    made = bound(host, number)
    app = application(held, Settings(edit, tuple(model or ()), device, against=other), openers())
    url = address(made)
    tell({"url": url, "edit": edit}) if json else show(url)
    say(f"{atlas} is served at {url} to this machine alone. Ctrl-C stops it.")
    if open_:
        import webbrowser

        webbrowser.open(url)
    serve(app, made)
    return 0


def needed() -> None:
    """The packages of the extra, or how to get them."""
    try:
        import fastapi
        import uvicorn

        assert fastapi, uvicorn
    except ImportError as problem:
        raise Missing(
            f"the studio needs {problem.name}, which is not installed. Run pip install "
            "'legenda[studio]'; `legenda report` makes the same pages as one file without it."
        ) from None


def there(atlas: Path) -> Path:
    """A folder that exists: the studio opens an atlas, and makes none."""
    from legenda.atlas.schema import FILE

    if not (atlas / FILE).is_file():
        raise BadInput(
            f"there is no atlas at {atlas}: it has no {FILE}. Make one with `legenda demo` or "
            "`legenda run`, or name another folder."
        )
    return atlas


def writable(atlas: Path) -> Path:
    """A folder that may be changed: better said now than at the first name that is given."""
    from legenda.atlas.schema import FILE

    for path in (atlas, atlas / FILE, atlas / "tensors"):
        if path.exists() and not os.access(path, os.W_OK):
            raise Missing(
                f"{path} cannot be written, so that nothing could be kept. Leave --edit out, or "
                "copy the atlas to where you may change it."
            )
    return atlas


def port_of(typed: str | None) -> int:
    """A port as it is typed."""
    if typed is None:
        return PORT
    if not (typed.isascii() and typed.isdecimal() and int(typed[:6]) < 1 << 16):
        raise BadInput(
            f"--port needs a number from 0 to 65535, 0 for a free one; it got {typed!r}."
        )
    return int(typed)


def openers() -> Any:
    """How live work opens models: as the commands do."""
    from legenda.agreement import opened
    from legenda.studio.live_models import Openers

    return Openers(
        agreement=lambda ref, device: opened(ref, None, device),
        tokens=tokens_of, latents=latents_of, concepts=concepts_of,
    )  # fmt: skip


def tokens_of(ref: str, device: str) -> Any:
    """A model with a codebook, its concept model and its judges, as `legenda edit` opens them."""
    from legenda.cli import edit_models as models
    from legenda.studio.live_tokens import TokenTools

    vq = models.vq_of(ref, device, "a search for tokens", "whose tokens can be rewritten")
    judges, names = models.judges_of(vq, None)
    return TokenTools(vq, models.concepts_of(vq, None), judges, names)


def latents_of(ref: str, device: str) -> Any:
    """A model whose latents can be moved."""
    from legenda.cli.latent_edit import latent_of

    found = latent_of(ref, device)
    if found is None:
        raise Unsupported("moving latents", "an autoencoder with latents", ref, "Try zoo:vae.")
    return found


def concepts_of(ref: str, device: str) -> Any:
    """A folder of named concepts and its model, as `legenda concepts` opens them."""
    from legenda.tasks.reading import Reader

    return Reader.of(ref.partition("@")[0] if ref.startswith("zoo:") else ref, device)
