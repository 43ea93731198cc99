"""The pictures that the concepts of `zoo:photos` are fitted to, and those that they are held to.

Photographs of fruit, CIFAR-10, cut-out photographs, emoji and clip art. Of the pairs, the families
that the model was never trained on are held out; of CIFAR-10, test pictures; of the fruit, the
validation pictures, none of which is a copy of a training picture.
"""

import io
import json
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from legenda.errors import Missing

from .fetch import home
from .packages import CIFAR, GROCERIES
from .pairs import listed
from .picture import opened, plain
from .towers import HELD_OUT

Part = Literal["train", "held out"]
CIFAR_COUNT: dict[Part, int] = {"train": 4000, "held out": 500}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class ConceptPictures:
    """One part of the pictures, by number: the protocol of `corpus.pictures`.

    `entries` are (source, key, label), sources one after the other, each in a fixed order.
    """

    part: Part
    cache: Path | None = None
    entries: tuple[tuple[str, str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """List what is in the cache."""
        folder = home(self.cache) / "pairs"
        if not (folder / "groceries").is_dir() or not (folder / CIFAR.folder).is_dir():
            raise Missing(
                f"the pictures of the concepts of zoo:photos are not in {folder}. Run "
                "`legenda zoo train photos-concepts`, which fetches them; it needs npm and apt-get."
            )
        found = [*self._pairs(folder), *self._fruit(), *self._cifar(folder)]
        object.__setattr__(self, "entries", tuple(found))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def digest(self) -> str:
        """A short identity of the corpus: the names of its pictures, whose packages are pinned."""
        return sha256("\n".join(key for _, key, _ in self.entries).encode()).hexdigest()[:16]

    def key(self, i: int) -> str:
        """Source and name."""
        return self.entries[i][1]

    def label(self, i: int) -> str | None:
        """The title, kind of fruit or class."""
        return self.entries[i][2]

    def source(self, i: int) -> str:
        """Which set a picture comes from."""
        return self.entries[i][0]

    def open(self, i: int) -> Image.Image:
        """Picture i; a cut-out lies on white."""
        source, key, _ = self.entries[i]
        if source == "groceries":
            data = self._table.column("image_data")[int(key.rpartition("/")[2])].as_py()
            with Image.open(io.BytesIO(data)) as file:
                return file.convert("RGB")
        if source == CIFAR.folder:
            return Image.fromarray(self._photographs[int(key.rpartition("/")[2])])
        return plain(opened(home(self.cache) / "pairs" / key))

    def _pairs(self, folder: Path) -> list[tuple[str, str, str]]:
        """Pairs of the training families, or of the others."""
        words = (home(self.cache) / "minilm" / "vocab.txt").read_text("utf-8").split("\n")
        held = json.loads(HELD_OUT.read_text("utf-8"))
        apart = {entry["picture"] for part in held.values() for entry in part}
        pairs = listed(folder, frozenset(words))
        wanted = [p for p in pairs if (p.picture in apart) == (self.part == "held out")]
        return [(p.picture.partition("/")[0], p.picture, p.title) for p in wanted]

    def _fruit(self) -> list[tuple[str, str, str]]:
        """The official validation pictures are held out.

        Every tenth test picture is left out of both parts: most are copies of training pictures.
        """
        parts, names = (self._table.column(n).to_pylist() for n in ("dataset", "finegrained_cat"))
        wanted = []
        for i, (part, name) in enumerate(zip(parts, names, strict=True)):
            held, spare = part == "val", part == "test" and i % 10 == 0
            if not spare and held == (self.part == "held out"):
                wanted.append(("groceries", f"groceries/{i}", name.replace("-", " ").lower()))
        return wanted

    def _cifar(self, folder: Path) -> list[tuple[str, str, str]]:
        side = "train" if self.part == "train" else "test"
        labels = json.loads((folder / CIFAR.folder / f"{side}_lables.json").read_text("utf-8"))
        count = CIFAR_COUNT[self.part]
        return [(CIFAR.folder, f"{CIFAR.folder}/{side}/{i}", CLASSES[labels[i]]) for i in range(count)]  # fmt: skip # noqa: E501

    @cached_property
    def _table(self) -> Any:
        """The fruit, as bytes of JPEG files."""
        try:
            from pyarrow.parquet import read_table
        except ImportError:
            raise Missing(
                "the photographs of fruit are a parquet table, which needs pyarrow. "
                "Run `pip install 'legenda[data]'`."
            ) from None
        ((name, _),) = GROCERIES.files.items()
        return read_table(home(self.cache) / name)

    @cached_property
    def _photographs(self) -> np.ndarray:
        name = "data_batch_1" if self.part == "train" else "test_batch"
        with Image.open(home(self.cache) / "pairs" / CIFAR.folder / f"{name}.png") as file:
            return np.asarray(file.convert("RGB")).reshape(-1, 32, 32, 3)
