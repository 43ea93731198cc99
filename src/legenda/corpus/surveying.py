"""Surveying: one pass over the pictures of a corpus tells of all units of a dictionary at once.

Pictures go through the model in shards of fixed size, always whole. Each shard gives its codes, its
codes give statistics, and statistics are merged in the order of the shards: first within a record
shard, which is a group of them, then over these. So neither the threads that decode pictures ahead
nor an interruption change a bit of the result, and memory does not grow with the corpus, but for
the names of its pictures.

Codes are recorded group by group, each file whole or not at all. A survey that was killed begins
again where it was; statistics of what is recorded are made of the codes there, which takes a small
part of the time that the model takes.

References
----------
Wittenmayer, Rao, Parchami-Araghi, Schiele, Fischer. Insight: interpretable semantic hierarchies
in vision-language encoders. arXiv 2601.13798. What is counted.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from legenda.core.units import Units
from legenda.corpus.coded_shard import CodedShard, packed, unpacked
from legenda.corpus.picture_pass import SHARD, PicturePass
from legenda.corpus.pictures import Pictures
from legenda.corpus.record import Recorder
from legenda.corpus.sparse_pairs import SparsePairs
from legenda.corpus.unit_statistics import EDGES, TOP, UnitStatistics
from legenda.corpus.unit_survey import FLOOR, UnitSurvey
from legenda.errors import BadInput

SURVEY = "survey.safetensors"

Report = Callable[[str, int, int], None]
Tally = tuple[UnitStatistics, SparsePairs]


def silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def survey(
    units: Units, pictures: Pictures, folder: str | Path | None = None, *,
    floor: float = FLOOR, top: int = TOP, per_image: int | None = None, shard: int = SHARD,
    workers: int = 2, report: Report = silent, strict: bool = False,
) -> UnitSurvey:  # fmt: skip
    """Statistics of all units over all pictures.

    Parameters
    ----------
    folder: where codes are recorded, and the survey is saved; a survey that was interrupted goes
        on from there. None: nowhere.
    floor: τ, above which a unit is on; higher counts fewer positions.
    top: exemplars of each unit; more show more of its range.
    per_image: most exemplars in one picture; fewer show more different pictures. None: any.
    shard: pictures that go through the model at once; more need more memory.
    workers: threads that decode pictures; more help where decoding is slower than the model.
    report: told how many pictures are done, of how many.
    strict: whether a picture that cannot be read ends the survey; else it is listed as refused.
    """
    going = PicturePass(units, pictures, shard, workers, strict)
    counted = (floor, top, per_image)
    going.checked().counted(len(units), 0, *counted)  # so nothing is written where one is wrong
    with closing(_Kept(folder, going, report)) as kept:
        found = _merged(going, kept, counted)
        if kept.recorder:
            found.save(kept.recorder.folder / SURVEY)
            kept.recorder.finish(going.groups)
    return found


@dataclass(frozen=True)
class Cost:
    """What a survey will take, judged by `timed` of its `images`.

    `seconds` grow with the pictures; `bytes` are what the recorded codes and the survey take on
    disk, without its pairs.
    """

    seconds: float
    bytes: int
    images: int
    timed: int


def cost(
    units: Units, pictures: Pictures, *, shard: int = SHARD, workers: int = 2, top: int = TOP
) -> Cost:
    """What `survey` would take, from timing its first shard; nothing is written."""
    going = PicturePass(units, pictures, shard, workers, False)
    going.checked()
    begin = time.perf_counter()
    first = next(going.shards([0]))
    first.counted(len(units), 0, FLOOR, top, None)
    taken = time.perf_counter() - begin
    share = len(pictures) / min(shard, len(pictures))
    held = sum(t.numel() * t.element_size() for t in packed([first], len(units)).values())
    slots = first.index.shape[1]
    fixed = len(units) * (8 * (len(EDGES) + 4) + top * (20 + 8 * slots))
    return Cost(taken * share, int(held * share) + fixed, len(pictures), len(first))


class _Kept:
    """Coded shards by group: read where they are recorded, else computed, and recorded."""

    def __init__(self, folder: str | Path | None, going: PicturePass, report: Report):
        self.going, self.report = going, report
        self.recorder = None if folder is None else Recorder(folder, going.about())
        missing = (g for g in range(going.groups) if not self.has(g))
        self.stream = going.shards(s for g in missing for s in going.group(g))

    def has(self, g: int) -> bool:
        return self.recorder is not None and self.recorder.has(g)

    def group(self, g: int) -> list[CodedShard]:
        """The shards of one group."""
        if self.recorder and self.has(g):
            shards = unpacked(self.recorder.read(g))
            self.said(self.going.group(g)[-1])
        else:
            self.name_damaged(g)
            shards = [self.computed(s) for s in self.going.group(g)]
            if self.recorder:
                self.recorder.write(g, packed(shards, len(self.going.units)))
        for _, why in (pair for shard in shards for pair in shard.refused if self.going.strict):
            raise BadInput(why)
        return shards

    def computed(self, s: int) -> CodedShard:
        shard = next(self.stream)
        self.said(s)
        return shard

    def said(self, s: int, what: str = "survey") -> None:
        """Report that the shards up to s are done."""
        total = len(self.going.pictures)
        self.report(what, min((s + 1) * self.going.shard, total), total)

    def name_damaged(self, g: int) -> None:
        """Say which file is computed again since it is damaged."""
        if self.recorder:
            for path in sorted(self.recorder.folder.glob(f"{g:05d}-*.safetensors")):
                self.said(self.going.group(g)[0] - 1, f"{path.name} is damaged, computed again")

    def close(self) -> None:
        self.stream.close()
        if self.recorder:
            self.recorder.close()


def _merged(going: PicturePass, kept: _Kept, settings: tuple[float, int, int | None]) -> UnitSurvey:
    """All shards, merged within their groups and then over them."""
    keys: list[str] = []
    refused: list[tuple[str, str]] = []
    found: Tally | None = None
    for g in range(going.groups):
        part: Tally | None = None
        for shard in kept.group(g):
            one = shard.counted(len(going.units), len(keys), *settings)
            part = one if part is None else both(part, one)
            keys += [going.pictures.key(i) for i in shard.pictures.tolist()]
            refused += [(going.pictures.key(i), why) for i, why in shard.refused]
        if part is not None:
            found = part if found is None else both(found, part)
    if found is None or not keys:
        raise BadInput(
            f"None of the {len(going.pictures)} pictures can be read. The first: {refused[0][1]}"
        )
    statistics, pairs = found
    units = going.units
    return statistics.result(pairs, units.address, units.model.grid, tuple(keys), tuple(refused))


def both(one: Tally, other: Tally) -> Tally:
    """Statistics and pairs of two parts, merged."""
    return one[0].merge(other[0]), one[1].merge(other[1])
