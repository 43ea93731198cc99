"""`legenda union ATLAS [all | behind | nats | together | moved | names | faithful]`."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter

from legenda.cli.concept_options import seed_of
from legenda.cli.output import progress, say, show, tell
from legenda.errors import BadInput, LegendaError, near

WHAT = ("all", "behind", "nats", "together", "moved", "names", "faithful")
TAKES = {
    "behind": ("model", "pairs"), "nats": ("model", "images", "labels"),
    "together": ("model", "images", "labels"), "moved": ("model", "images", "labels"),
}  # fmt: skip
"""Options that each of them knows; the others ask the models that ship."""
MOVED, FEW = 96, 16
"""Tokens that are moved at most, as many pictures that they are moved in; and of a quick look."""


def union(
    atlas: Path,
    what: str = "all",
    /,
    *,
    model: str | None = None,
    pairs: Path | None = None,
    images: str | None = None,
    labels: Path | None = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    seed: str | None = None,
    device: str = "cpu",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """What only several systems together can say, into one atlas.

    behind: which named concepts lie behind the map of a sentence. nats: what tokens matter by the
    information bottleneck, beside their slopes. together: tokens that are found together. moved:
    what tokens and concepts do to pictures. names: one rule of silence for all kinds of names.
    faithful: what is lost without what each system puts first. Run it again and only what is
    missing is done. Without a model, those that ship are asked.

    Parameters
    ----------
    atlas
        The folder of an atlas; it is made where there is none.
    what
        One of these, or all.
    model
        A folder of `legenda fit` with names (behind), or a model with a codebook (nats, together,
        moved).
    pairs
        For behind: pictures and sentences, a .csv, .tsv or .jsonl file.
    images
        The folder of the pictures, where the labels do not name them beside them.
    labels
        For tokens: what each picture shows, a .csv, .tsv or .jsonl file.
    quick
        Less of everything, in a minute or two.
    seed
        Of everything random.
    device
        Such as cpu or cuda:0.
    json
        What was found on stdout, one JSON line for each result.
    """
    from legenda.atlas.store import Atlas
    from legenda.cli.gather import ours
    from legenda.cli.union_words import found, told
    from legenda.models.opening import checked_device

    given = {"model": model, "pairs": pairs, "images": images, "labels": labels}
    checked(what, given)
    drawn = seed_of(seed)
    ours(atlas)
    checked_device(device)
    with Atlas(atlas, write=True) as held, progress("opening") as step:
        asked = Asked(held, what, quick, drawn, device, step, [])
        studies = shipped(asked) if model is None else [yours(asked, given)]
        results = found(held, studies)
    for one in results:
        if json:
            tell({"kind": "result", "atlas": str(atlas), **one})
        else:
            show(told(one))
    say(f"{atlas}: look at it with `legenda report {atlas}`")
    return 2 if asked.lost else 0


class Asked(NamedTuple):
    """What is asked: where, of what, how; `lost` says why pictures could not be read."""

    atlas: Any
    what: str
    quick: bool
    seed: int
    device: str
    step: Any
    lost: list[str]

    def refuse(self, sentence: str) -> None:
        """Tell of a picture that cannot be read."""
        self.lost.append(sentence)
        say(f"legenda: {sentence}")


def checked(what: str, given: dict[str, Any]) -> None:
    """Refuse what there is not, and options that belong to something else."""
    if what not in WHAT:
        raise BadInput(f"union takes {', '.join(WHAT)}; it got {what!r}.{near(what, WHAT)}")
    for name, value in given.items():
        if value is not None and name not in TAKES.get(what, ()):
            knows = [way for way, takes in TAKES.items() if name in takes]
            raise BadInput(
                f"--{name} is about {' and '.join(knows)}, not about {what}. Leave it out, or say "
                f"`legenda union ATLAS {knows[0]}`."
            )
    others = [name for name, value in given.items() if value is not None and name != "model"]
    if given["model"] is None and others:
        raise BadInput(
            f"--{others[0]} needs the --model that it is for; without one, the models that ship "
            "are asked about pictures of their own."
        )
    needs = "pairs" if what == "behind" else "labels"
    if given["model"] is not None and given[needs] is None:
        raise BadInput(f"{what} of a model of yours needs --{needs} as well. Give it.")


def shipped(asked: Asked) -> list[int]:
    """The studies of the models that ship."""
    from legenda.tasks.union_zoo import LITTLE, WHAT, WHOLE, union_zoo

    some = WHAT if asked.what == "all" else (asked.what,)
    amount = LITTLE if asked.quick else WHOLE
    made = union_zoo(
        asked.atlas, some, amount, seed=asked.seed, device=asked.device, report=asked.step
    )
    return [study for studies in made.values() for study in studies]


def yours(asked: Asked, given: dict[str, Any]) -> int:
    """The study of a person's own model."""
    return behind(asked, given) if asked.what == "behind" else tokens(asked, given)


def behind(asked: Asked, given: dict[str, Any]) -> int:
    """Concepts behind the maps of pictures and sentences."""
    from legenda.corpus.images import open_image
    from legenda.corpus.pairs import pairs_of
    from legenda.tasks.atlas_concept_pictures import Shown
    from legenda.tasks.union_behind_atlas import gather_behind

    pictures, sentences = [], []
    for one in pairs_of(given["pairs"]):
        try:
            pictures.append(Shown(open_image(one.image), one.image.name))
        except LegendaError as error:
            asked.refuse(str(error))
        else:
            sentences.append(one.text)
    if not pictures:
        raise BadInput(f"{given['pairs']} names no picture that can be read. Give some.")
    return gather_behind(
        asked.atlas, given["model"], pictures, sentences, seeds=(0,) if asked.quick else (0, 1, 2),
        seed=asked.seed, device=asked.device, report=asked.step,
    )  # fmt: skip


def tokens(asked: Asked, given: dict[str, Any]) -> int:
    """What is asked of the tokens of labelled pictures."""
    import torch

    from legenda.corpus.labels import read_labels
    from legenda.tasks.shelf import Shelf
    from legenda.tasks.token_survey import survey_tokens
    from legenda.tasks.union_together import gather_together

    vq, labels = opened(given["model"], asked), read_labels(given["labels"], given["images"])
    survey = survey_tokens(vq, labels, Shelf(), asked.step, asked.refuse)
    read = torch.from_numpy(survey.tokens.astype("int64")).to(vq.codebook.atoms.device)
    if asked.what == "together":
        return gather_together(
            asked.atlas, vq, read, seed=asked.seed, device=asked.device, report=asked.step
        )
    return weighed(asked, vq, survey, read) if asked.what == "nats" else moved(asked, vq, survey, read)  # fmt: skip # noqa: E501


def weighed(asked: Asked, vq: Any, survey: Any, read: Any) -> int:
    """Nats and slopes by a concept model that is trained on the labels."""
    from legenda.concepts.bottleneck import Bottlenecked
    from legenda.concepts.extractors import CNN
    from legenda.tasks.tokens import learned
    from legenda.tasks.union_nats_atlas import gather_nats

    epochs = 3 if asked.quick else None
    model, _, _ = learned(vq, survey, Bottlenecked(CNN()), epochs, asked.seed, None, asked.step)
    names = [one.label for one in survey.labels.images]
    return gather_nats(
        asked.atlas, vq, model, read, names, seed=asked.seed, device=asked.device,
        report=asked.step,
    )  # fmt: skip


def moved(asked: Asked, vq: Any, survey: Any, read: Any) -> int:
    """What the most frequent tokens do to pictures."""
    from dataclasses import replace

    import torch

    from legenda.core.units import Units
    from legenda.tasks.token_survey import pixels
    from legenda.tasks.union_moved import TOKENS, gather_moved

    often = read.flatten().bincount(minlength=len(vq.codebook))
    most = min(FEW if asked.quick else MOVED, int((often > 0).sum()))
    some = sorted(often.argsort(descending=True, stable=True)[:most].tolist())
    x = torch.cat([pixels(vq, one.image) for one in survey.labels.images[:MOVED]])
    return gather_moved(
        asked.atlas, Units(vq, vq.codebook), x, only=some, device=asked.device,
        settings=replace(TOKENS, seed=asked.seed), report=asked.step,
    )  # fmt: skip


def opened(model: str, asked: Asked) -> Any:
    """A model with a codebook."""
    from legenda.cli.edit_models import vq_of

    return vq_of(model, asked.device, asked.what, "whose tokens can be read")
