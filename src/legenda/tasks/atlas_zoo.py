"""The models that ship with legenda, in one atlas: latents, tokens, concepts and agreement.

Pictures are drawn anew, from seeds that no model was trained on: close-ups for the tokens, houses
and towers with a planted shortcut for the audit, and scenes that are both read as concepts and
explained by sentences, so that the nats of a sentence stand beside the concepts of every patch.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from legenda.atlas.store import Atlas
from legenda.corpus.labels import Labelled, Labels
from legenda.models.opening import open_model
from legenda.tasks.atlas_agreement import gather_agreement
from legenda.tasks.atlas_concept_pictures import Shown
from legenda.tasks.atlas_concepts import ConceptSettings, gather_concepts
from legenda.tasks.atlas_latents import gather_latents
from legenda.tasks.atlas_tokens import QUICK, Proofs, TokenSettings, gather_tokens
from legenda.tasks.audit_groups import Groups, read_groups

Report = Callable[[str, int, int], None]
WORK, SIDE, PHOTO = "work", 256, "chelsea.jpg"
SCENE, GROUPS = 2_000_182, 61_000_000
"""First seeds of the scenes that are explained, and of the houses and towers that are audited."""
PHOTO_SAYS = ("a photo of a cat", "a red car")
CONCEPT, AIM, REGION, STEPS = "ring", "house", "box:3,3,10,10", 150


class Amount(NamedTuple):
    """How much is made: a quick demonstration, or all that the models can say.

    Parameters
    ----------
    scenes: that are explained.
    close_ups: pictures that tokens are surveyed in.
    audited: houses and towers that are learned from; half as many are held out.
    tokens, concepts: settings.
    crops: that a token is named by.
    """

    scenes: int
    close_ups: int
    audited: int
    tokens: TokenSettings
    concepts: ConceptSettings
    crops: int


LITTLE = Amount(6, 360, 480, QUICK, ConceptSettings(4, 1, 12), 8)
WHOLE = Amount(24, 1200, 2000, TokenSettings(), ConceptSettings(), 16)


def gather_zoo(
    atlas: Atlas, what: Sequence[str] = (), amount: Amount = WHOLE, *, device: str = "cpu",
    report: Report = lambda *_: None,
) -> dict[str, int]:  # fmt: skip
    """Bring the shipped models into an atlas, or some of them; the number of each study."""
    ways: dict[str, Callable[[], int]] = {
        "concepts": partial(zoo_concepts, atlas, amount, device, report),
        "agreement": partial(zoo_agreement, atlas, amount, device, report),
        "latents": partial(gather_latents, atlas, "zoo:vae", device=device, report=report),
        "tokens": partial(zoo_tokens, atlas, amount, device, report),
    }
    return {name: make() for name, make in ways.items() if name in (what or ways)}


def zoo_concepts(atlas: Atlas, amount: Amount, device: str, report: Report) -> int:
    """The concepts of drawn scenes."""
    pictures, _ = scenes(amount.scenes)
    return gather_concepts(
        atlas, "zoo:scenes", settings=amount.concepts, shown=pictures, device=device, report=report
    )


def zoo_agreement(atlas: Atlas, amount: Amount, device: str, report: Report) -> int:
    """Scenes by sentences, and a photograph by a model that knows photographs, if one is here."""
    pictures, sentences = scenes(amount.scenes)
    photos = photos_model()
    if photos is None:
        pictures, sentences = [*pictures, photograph()], [*sentences, list(PHOTO_SAYS)]
    study = gather_agreement(atlas, "zoo:scenes", pictures, sentences, device=device, report=report)
    if photos is not None:
        gather_agreement(
            atlas, photos, [photograph()], [PHOTO_SAYS], curves=False, device=device, report=report
        )
    return study


def zoo_tokens(atlas: Atlas, amount: Amount, device: str, report: Report) -> int:
    """The tokens of close-ups: named by what scenes say, masked before judges, audited, edited."""
    from legenda.describe.vocabulary import Vocabulary
    from legenda.tasks.token_naming import TokenNaming
    from legenda.zoo.scenes.concept_pictures import factors
    from legenda.zoo.vq.data import CONCEPTS
    from legenda.zoo.vq.judges import small_cnn
    from legenda.zoo.vq.shipped import concept_model

    words = Vocabulary(tuple(dict.fromkeys(v for _, v in factors())), source="words of drawn scenes")  # fmt: skip # noqa: E501
    dual: Any = open_model("zoo:scenes", device=device)
    asked = concept_model(open_model("zoo:vq", device=device))  # pyright: ignore
    asked.root.to(device)
    naming = TokenNaming(dual, words, crops=amount.crops)
    with working(atlas) as work:
        report("drawing pictures", 0, 1)
        labels, groups = close_ups(work / "close-ups", amount.close_ups), shortcut(work / "groups", amount.audited)  # fmt: skip # noqa: E501
        proofs = Proofs(
            {"small cnn": small_cnn().to(device)}, CONCEPTS, groups, edited, f"a drawn {CONCEPT}"
        )
        return gather_tokens(
            atlas, "zoo:vq", labels, concepts=asked, naming=naming,
            proofs=proofs, settings=amount.tokens, work=work / "pieces", device=device,
            report=report,
        )  # fmt: skip


@contextmanager
def working(atlas: Atlas) -> Iterator[Path]:
    """A folder inside the atlas for unfinished work, gone once the atlas holds what came of it.

    Where something goes wrong it stays, and the next try goes on from there.
    """
    place = atlas.folder / WORK
    place.mkdir(parents=True, exist_ok=True)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def scenes(count: int) -> tuple[list[Shown], list[list[str]]]:
    """Scenes nobody trained on, each with a sentence about all of it, one thing, and a wrong one."""  # noqa: E501
    from legenda.zoo.scenes.render import photograph as painted
    from legenda.zoo.scenes.world import COLOURS, KINDS, draw, with_article

    pictures, sentences = [], []
    for seed in range(SCENE, SCENE + count):
        scene = draw(seed)
        caption = scene.caption()
        pictures.append(Shown(Image.fromarray(painted(scene, SIDE)), f"scene {seed}", caption))
        absent = next(k for k in KINDS if k not in {t.kind for t in scene.things})
        colour = next(c for c in COLOURS if c not in {t.colour for t in scene.things})
        one = scene.things[0].phrase(texture=True)
        sentences.append(list(dict.fromkeys([caption, one, with_article(f"{colour} {absent}")])))
    return pictures, sentences


def photograph() -> Shown:
    """The photograph that ships."""
    import legenda.zoo
    from legenda.corpus.images import open_image

    place = Path(legenda.zoo.__file__).parent / "pictures" / PHOTO
    return Shown(open_image(place), PHOTO, "a photograph of a cat, CC0")


def photos_model() -> str | None:
    """`zoo:photos`, where it is fetched and its heads are there."""
    from legenda.zoo.photos.fetch import wanted
    from legenda.zoo.photos.towers import HEADS

    return "zoo:photos" if HEADS.exists() and not wanted() else None


def close_ups(folder: Path, count: int) -> Labels:
    """Close-ups of drawn things as files, with what each shows."""
    from legenda.zoo.vq.data import CONCEPTS, SEEDS
    from legenda.zoo.vq.data import close_ups as drawn

    found = drawn("test", count)
    names = [CONCEPTS[label] for label in found.labels.tolist()]
    paths = saved(folder, found.images, [f"close-up {SEEDS['test'] + i}.png" for i in range(count)])
    rows = tuple(Labelled(path, name) for path, name in zip(paths, names, strict=True))
    return Labels(folder / "labels.csv", rows).checked()


def shortcut(folder: Path, count: int) -> Groups:
    """Houses mostly red and towers mostly blue; and others, held out, in which colour says nothing."""  # noqa: E501
    from legenda.zoo.vq.shortcut import KINDS, SHARE, planted

    lines = ["image,group,part"]
    for part, first, size, tied in (("training", GROUPS, count, SHARE), ("reference", GROUPS + 20_000, count // 2, None)):  # fmt: skip # noqa: E501
        made = planted(first, size) if tied is None else planted(first, size, tied)
        names = [f"{part} {i}.png" for i in range(size)]
        saved(folder, made.images, names)
        lines += [f"{n},{KINDS[k]},{part}" for n, k in zip(names, made.labels.tolist(), strict=True)]  # fmt: skip # noqa: E501
    (folder / "groups.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return read_groups(folder / "groups.csv", folder)


def saved(folder: Path, images: Any, names: Sequence[str]) -> list[Path]:
    """Pictures as files, each written once."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def edited(vq: Any, model: Any) -> Any:
    """A drawn ring, edited toward a house, before the judges that are here."""
    from legenda.corpus.region import parse
    from legenda.explain.codebook_search import CodebookSearch
    from legenda.tasks.edit import toward
    from legenda.zoo.vq.data import CONCEPTS
    from legenda.zoo.vq.data import close_ups as drawn
    from legenda.zoo.vq.judges import judges

    pictures = drawn("test", 64)
    one = (pictures.labels == CONCEPTS.index(CONCEPT)).nonzero()[0]
    search = partial(CodebookSearch, steps=STEPS)
    x = pictures.pixels(torch.as_tensor(one)).to(vq.device)
    seen = {name: judge.to(vq.device) for name, judge in judges().items()}
    return toward(vq, model, x, AIM, parse(vq.grid, REGION), seen, search=search)
