"""`legenda demo`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from legenda.cli.output import progress, say, show, tell, writable, write

PHOTO = "chelsea.jpg"
PHOTO_SAYS = ("a photo of a cat", "a red car")
SEED, SIDE, RANDOMS = 2_000_182, 384, 8
TITLE = "Why a picture and a sentence agree, what is in it, and what tokens and latents do"
HONEST = (
    "The photograph of a cat was shown to zoo:scenes, which knows only its drawn world: no "
    "sentence about the cat can match there, and the warning says so. “legenda zoo fetch "
    "photos” brings a model of real pictures."
)


def demo(
    *,
    out: Path = Path("legenda-demo.html"),
    model: str = "zoo:scenes",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Explain a scene and a photograph, their concepts, tokens and latents; one page.

    Parameters
    ----------
    out
        The page, a name ending in .html.
    model
        What explains the scene.
    json
        Results on stdout, one JSON line per pair.
    """
    from legenda.agreement import opened
    from legenda.cli.concepts import card as concept_card
    from legenda.cli.demo_concepts import about_concepts
    from legenda.cli.demo_latents import about_latents
    from legenda.cli.demo_tokens import about_tokens
    from legenda.show.edit import context
    from legenda.show.page import page
    from legenda.show.view import plain

    writable(out, folder=False)
    scene, says = scene_of(SEED, SIDE)
    photos = photos_model()
    with progress("opening") as step:
        dual = opened(model)
        found = explained(dual, scene, says, "a drawn scene", step)
        other = opened(photos) if photos else dual
        found += explained(other, photograph(), PHOTO_SAYS, f"{PHOTO}, CC0", step)
        step("tokens", 0, 1)
        tokens = about_tokens()
        step("concepts", 0, 1)
        concepts = about_concepts(scene, photograph() if photos else None)
        step("latents", 0, 1)
        latents = about_latents()
    more = {"concept": tokens["concept"], "edited": tokens["edited"], **context(tokens["edit"])}
    more |= concepts["page"] | latents["page"]
    notes = [] if photos else [HONEST]
    styles = {"style": "edit.css concepts.css latents.css", "script": "concepts.js latents.js"}
    write(out, page(found, TITLE, notes=notes, template="demo.html", **styles, **more))
    for made in found:
        if json:
            tell(plain(made))
        else:
            from legenda.show.terminal import card

            show(card(plain(made)))
    for said in concepts["said"]:
        tell(said) if json else show(concept_card(said))
    told(tokens, json)
    if json:
        tell(latents["said"])
    else:
        from legenda.cli.latents import told as told_latents

        told_latents(latents["study"])
    if not photos:
        say(HONEST)
    say(f"{out.resolve()}")
    return 0


def told(tokens: dict[str, Any], json: bool) -> None:
    """The tokens and the edit, in the terminal or for a program."""
    if json:
        tell({"kind": "concept", **tokens["concept"]})
        tell(tokens["edit"])
        return
    from legenda.cli.edit import card

    rows = tokens["concept"]["rows"]
    show(f"tokens of a {tokens['concept']['name']}: {', '.join(str(r['token']) for r in rows)}")
    seen, others = rows[0]["share"], rows[0]["control"]
    show(f"the first: at top positions in {seen} of its images, {others} of all others")
    show(card(tokens["edit"]))


def scene_of(seed: int, side: int) -> tuple[Any, tuple[str, ...]]:
    """A scene nobody trained on, with a sentence about all of it, its things, and a wrong one."""
    from PIL import Image

    from legenda.zoo.scenes.render import photograph
    from legenda.zoo.scenes.world import COLOURS, KINDS, draw, with_article

    scene = draw(seed)
    phrases = [thing.phrase(texture=True) for thing in scene.things]
    absent = next(k for k in KINDS if k not in {t.kind for t in scene.things})
    colour = next(c for c in COLOURS if c not in {t.colour for t in scene.things})
    wrong = with_article(f"{colour} {absent}")
    return Image.fromarray(photograph(scene, side)), (scene.caption(), *phrases[:2], wrong)


def photograph() -> Any:
    """The shipped photograph."""
    import legenda.zoo
    from legenda.corpus.images import open_image

    return open_image(Path(legenda.zoo.__file__).parent / "pictures" / PHOTO)


def photos_model() -> str | None:
    """`zoo:photos`, where it is fetched and its heads are there."""
    from legenda.zoo.photos.fetch import wanted
    from legenda.zoo.photos.towers import HEADS

    return "zoo:photos" if HEADS.exists() and not wanted() else None


def explained(
    dual: Any, picture: Any, says: tuple[str, ...], source: str, step: Callable[..., None]
) -> list[Any]:
    """One picture with several sentences; the first is scored, beside `RANDOMS` random maps."""
    from dataclasses import replace

    from legenda.agreement import explanations, judged

    made = explanations(dual, [picture] * len(says), says, score=False, progress=step)
    found = [replace(one, source=source) for one in made]
    return [replace(found[0], scores=judged(dual, found[0], RANDOMS)), *found[1:]]
