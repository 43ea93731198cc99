"""The part of `legenda demo` about concepts: what is in a picture, where, and how it relates."""

from typing import Any

COUNT = 8
TITLE = "Which concepts are in it, and where"
LEAD = (
    "Units of a dictionary that was fitted to what each patch would say alone; each is named by "
    "the word that stands out, or not at all: those without a name are left out here. Point at "
    "one to see where it is on."
)


def about_concepts(scene: Any, photograph: Any | None) -> dict[str, Any]:
    """What the page says of the concepts of a scene, and of a photograph where its model is here.

    Where no concepts ship, nothing is said.
    """
    from legenda.show.concepts import context, plain
    from legenda.tasks.concept_folder import SHIPPED
    from legenda.tasks.reading import Reader

    pictures = [("zoo:scenes", scene, "a drawn scene")]
    pictures += [("zoo:photos", photograph, "a photograph")] if photograph is not None else []
    seen, said, tree = [], [], ""
    for atlas, picture, source in pictures:
        if not SHIPPED[atlas].is_dir():
            continue
        reader = Reader.of(atlas)
        read = reader.seen(picture, source, COUNT, named=True)
        told = plain(read, reader.names, reader.relations)
        shown, how, near = [(told, picture)], reader.model.preprocess, reader.near([read])
        made = context(shown, how, near, reader.words, reader.exemplars, len(seen) + 1)
        seen += made["seen"]
        said.append(told)
        tree = max(tree, made["tree"], key=len)
    page = {"seen": seen, "tree": tree, "concepts_title": TITLE, "concepts_lead": LEAD}
    return {"page": page, "said": said}
