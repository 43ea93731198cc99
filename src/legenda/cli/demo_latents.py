"""The part of `legenda demo` about latents: what each latent of `zoo:vae` does, and how surely."""

from typing import Any

TITLE = "What each latent of a generator does"
LEAD = (
    "zoo:vae is a VAE that learned drawn sprites. Each of its latents was moved alone, from many "
    "starts; what changes was measured, and is said only where the answers agree. Move a slider to "
    "see it."
)


def about_latents() -> dict[str, Any]:
    """What the page and a program are told of the latents of `zoo:vae`."""
    from legenda.core.dictionary import Identity
    from legenda.core.units import Units
    from legenda.show.latent_words import lead, note
    from legenda.show.latents import context, plain
    from legenda.tasks.latents import study
    from legenda.zoo.vae.shipped import open_vae

    vae = open_vae()
    found = study(Units(vae, Identity(vae.width, "latents")))
    page = {
        **context(found), "latents_title": TITLE, "latents_lead": LEAD, "latents_said": lead(found),
        "latents_note": note(found),
    }  # fmt: skip
    return {"page": page, "said": plain(found), "study": found}
