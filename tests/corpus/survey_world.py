"""A small world to survey, and processes that can be killed in it.

`python -m tests.corpus.survey_world MODULE:FUNCTION …` waits for jobs: it is asked for one by
`[number, folder, kill after]` and forks, so that each starts in a millisecond, where Python and
torch take seconds.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from legenda.core.codes import Codes
from legenda.core.model import Rerun, Run
from legenda.core.units import Units
from legenda.corpus.surveying import survey
from legenda.errors import BadInput, ShapeError

KILLED = -9


class ToyPatches(torch.nn.Module):
    """16 patches of a 16 × 16 picture and a class token before them, at width 6."""

    name, ref, grid = "toy-patches", "tests.corpus.survey_world:ToyPatches", (4, 4)

    def __init__(self, seed=0):
        super().__init__()
        lot = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(6, 3, 4, 4, generator=lot))
        self.batches = []

    def pixels(self, pictures):
        arrays = [np.asarray(p.convert("RGB"), np.float32) / 255 - 0.5 for p in pictures]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()

    def acts(self, x):
        self.batches.append(len(x))
        patches = torch.nn.functional.conv2d(x, self.weight, stride=4).flatten(2).mT.tanh()
        return torch.cat([patches.mean(1, keepdim=True) + 9, patches], 1)

    def run(self, x, edit=None):
        acts = self.acts(x) if edit is None else edit(self.acts(x))
        return Run(acts, acts.mean((1, 2)))

    def prefix(self, x):
        acts = self.acts(x)
        special = torch.zeros(acts.shape[:2], dtype=torch.bool)
        special[:, 0] = True
        return Rerun(self, x, acts, special, torch.ones_like(special))


class ToyTopK:
    """The j greatest readings of k atoms drawn by lot, where they are above 0."""

    name = "toy-topk"

    def __init__(self, units=40, width=6, slots=3, seed=0):
        lot = torch.Generator().manual_seed(seed)
        self.atoms, self.slots = torch.randn(units, width, generator=lot), slots

    def encode(self, acts):
        if acts.shape[-1] != self.atoms.shape[1]:
            raise ShapeError(
                f"toy-topk reads width {self.atoms.shape[1]}; it got {acts.shape[-1]}."
            )
        weight, index = (acts @ self.atoms.T).relu().topk(self.slots, -1)
        return Codes(index, weight, len(self.atoms))

    def decode(self, codes):
        return codes.dense() @ self.atoms


@dataclass(frozen=True)
class ToyPictures:
    """Pictures of noise, 16 × 16; those in `broken` cannot be read."""

    count: int = 70
    broken: tuple[int, ...] = ()
    seed: int = 0

    @property
    def digest(self):
        return f"toy {self}"

    def __len__(self):
        return self.count

    def key(self, i):
        return f"{i}.png"

    def label(self, i):
        return None

    def open(self, i):
        if i in self.broken:
            raise BadInput(f"{i}.png is damaged. Export it again.")
        lot = np.random.default_rng((self.seed, i))
        return Image.fromarray(lot.integers(0, 256, (16, 16, 3), np.uint8))


def toy_units(**settings):
    return Units(ToyPatches(), ToyTopK(**settings))


def one_survey(folder):
    """What is killed: 160 pictures in 80 shards, which make 10 of the record."""
    survey(toy_units(), ToyPictures(160, (5, 77)), folder, shard=2, top=5)


# ----------------------------------------------------------------------------- processes


class Nursery:
    """A process that has imported all that a job needs, and forks for each."""

    def __init__(self, *jobs):
        root = Path(__file__).parents[2]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        paths = os.pathsep.join([str(root / "src"), str(root)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.corpus.survey_world", *jobs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env={**os.environ, **threads, "PYTHONPATH": paths},
        )  # fmt: skip
        self.hears()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def hears(self):
        return json.loads(self.process.stdout.readline())

    def run(self, job, folder, kill_after=None):
        """How long a job took, and how it ended; killed after so many seconds, if it still runs."""
        self.process.stdin.write(json.dumps([job, str(folder), kill_after]) + "\n")
        self.process.stdin.flush()
        return self.hears()

    def killed(self, job, folders, kills, seed=0):
        """Kill a job so many times, at random, and run it again each time.

        Gives the folder of a run that was not killed, and those in which it finished at last.
        """
        lot, done, finished = np.random.default_rng(seed), 0, []
        seconds, ended = self.run(job, folders / "reference")
        assert ended == 0
        while done < kills or not finished:
            folder = folders / str(len(finished))
            after = lot.uniform(0, seconds) if done < kills else None
            ended = self.run(job, folder, after)[1]
            assert ended in (0, KILLED), ended
            done += ended == KILLED
            finished += [folder] if ended == 0 else []
        return folders / "reference", finished


def sums(folder):
    """The checksum of each file below a folder."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def serve(names):
    """Wait for jobs; each runs in a fork."""
    torch.set_num_threads(1)
    jobs = [getattr(import_module(module), job) for module, job in (n.split(":") for n in names)]
    tell(len(jobs))
    for line in sys.stdin:
        number, folder, kill_after = json.loads(line)
        begin, pid = time.perf_counter(), os.fork()
        if pid == 0:
            try:
                jobs[number](Path(folder))
                os._exit(0)
            finally:  # reached where it raised
                traceback.print_exc()
                os._exit(1)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, 9)  # until it is waited for, the number is nobody else's
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        tell([time.perf_counter() - begin, ended])


def tell(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1:])
