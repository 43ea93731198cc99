"""Prompts: the words that a language model is asked in, each in a versioned text file.

`plain.v1.txt` is version 1 of *plain*. What stands in braces is filled in; other braces, such as
those of JSON, are left alone. A prompt is known by its name, its version and a hash of its text:
all three belong to what a question is known by.

References
----------
Zhu, Kanjiani, Lu, Choi, Ye, Zhao. LatentExplainer: explaining latent representations in deep
generative models with multimodal large language models. arXiv 2406.14862, 2024. The inductive
biases that the prompts speak of; their own wording is not published, and this one is ours.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from legenda.errors import BadInput, Missing, near

KNOWN = ("columns", "property", "rows", "words")
"""What a prompt may ask to have filled in."""
PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
NAMED = re.compile(r"(?P<name>[^.]+)\.(?P<version>v\d+)\.txt")


@dataclass(frozen=True)
class Prompt:
    """A prompt.

    Parameters
    ----------
    name: such as plain.
    version: such as v1; empty where the name of its file has none.
    text: with what is to be filled in, in braces.
    """

    name: str
    version: str
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        asked = sorted({*PLACE.findall(self.text)} - {*KNOWN})
        if asked:
            raise BadInput(
                f"the prompt {self.name} asks for {{{'}, {'.join(asked)}}}, which nobody fills in. "
                f"Known are {{{'}, {'.join(KNOWN)}}}."
            )
        if not self.text.strip():
            raise BadInput(f"the prompt {self.name} is empty. Write what is to be asked.")

    @property
    def mark(self) -> str:
        """Name, version and a hash of the text."""
        hashed = hashlib.sha256(self.text.encode()).hexdigest()[:12]
        return " ".join(part for part in (self.name, self.version, hashed) if part)

    def filled(self, values: Mapping[str, object]) -> str:
        """The text with its places filled in."""
        empty = [name for name in PLACE.findall(self.text) if values.get(name) in (None, "")]
        if empty:
            raise BadInput(
                f"the prompt {self.name} speaks of {{{empty[0]}}}, and none was given. Give it, or "
                "choose another prompt."
            )
        return PLACE.sub(lambda found: str(values[found[1]]), self.text).strip()


def prompt_of(name: str | Path) -> Prompt:
    """The newest version of a prompt that ships (`plain`), one version (`plain.v1`), or a file."""
    shipped = {file.name: file for file in files("legenda.describe").joinpath("prompts").iterdir()}
    own = [one for one in shipped if one.split(".")[0] == name or one == f"{name}.txt"]
    if own and isinstance(name, str):
        newest = max(own, key=lambda one: int(one.split(".")[1][1:]))
        return _prompt(newest, shipped[newest].read_text("utf-8"))
    path = Path(name)
    if not path.is_file():
        kinds = sorted({one.split(".")[0] for one in shipped})
        raise Missing(
            f"there is no prompt {str(name)!r}, and no such file.{near(str(name), kinds)} Prompts "
            f"that ship: {', '.join(kinds)}."
        )
    try:
        return _prompt(path.name, path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise BadInput(f"the prompt {path} is not text in UTF-8. Save it anew.") from None


def _prompt(file: str, text: str) -> Prompt:
    named = NAMED.fullmatch(file)
    if named:
        return Prompt(named["name"], named["version"], text)
    return Prompt(file.removesuffix(".txt"), "", text)
