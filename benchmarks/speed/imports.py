"""How long `import legenda` and `legenda --help` take, each in a process of its own."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.table import Measurement, Row, quick


def measure() -> Measurement:
    """Medians over fresh processes; the bare interpreter's start is subtracted from the import."""
    rounds = 5 if quick() else 15
    script = str(Path(sys.executable).with_name("legenda"))
    bare = [_seconds([sys.executable, "-c", "pass"]) for _ in range(rounds)]
    took = [_seconds([sys.executable, "-c", "import legenda"]) for _ in range(rounds)]
    helped = [_seconds([script, "--help"]) for _ in range(rounds)]
    inside = _seconds_inside(rounds)
    torch = subprocess.run(
        [sys.executable, "-c", "import legenda, sys; print('torch' in sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    rows = [
        Row("import legenda", inside, "ms", "<100 ms", inside < 100, rounds),
        Row("import legenda, process less bare process", 1000 * (median(took) - median(bare)), "ms", "", None, rounds),
        Row("torch imported by it", float(torch == "True"), "", "no torch", torch == "False", 1),
        Row("legenda --help", 1000 * median(helped), "ms", "<300 ms", median(helped) < 0.3, rounds),
    ]  # fmt: skip
    return Measurement("import", rows, [])


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began


def _seconds_inside(rounds: int) -> float:
    """Milliseconds of the statement itself."""
    code = "import time; t = time.perf_counter(); import legenda; print(time.perf_counter() - t)"
    found = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    ]  # fmt: skip
    return 1000 * median(found)
