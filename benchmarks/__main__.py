"""`python -m benchmarks bench|truth [ROW …]`: run measurements by name, all without a name."""

import sys
from importlib import import_module

from benchmarks.table import keep
from legenda.errors import LegendaError

ROWS = {
    "bench": {
        "import": "benchmarks.speed.imports",
        "m2ib": "benchmarks.speed.m2ib",
        "m2ib-batch": "benchmarks.speed.m2ib_batch",
        "tis": "benchmarks.speed.tis",
        "codebook-search": "benchmarks.speed.codebook_search",
        "masking": "benchmarks.speed.masking",
        "cliffs-delta": "benchmarks.speed.cliffs_delta",
        "sae": "benchmarks.speed.sae",
        "survey": "benchmarks.speed.survey",
        "pair-counts": "benchmarks.speed.pair_counts",
        "naming": "benchmarks.speed.naming",
        "traversal": "benchmarks.speed.traversal",
        "latents-18": "benchmarks.speed.latents_18",
        "atlas-open": "benchmarks.speed.atlas_open",
        "atlas-write": "benchmarks.speed.atlas_write",
        "report": "benchmarks.speed.report",
        "unit-page": "benchmarks.speed.unit_page",
    },
    "truth": {
        "scenes-model": "benchmarks.truths.scenes_model",
        "m2ib-selection": "benchmarks.truths.selection",
        "m2ib-scenes": "benchmarks.truths.m2ib_scenes",
        "m2ib-roar": "benchmarks.truths.roar_rows",
        "m2ib-photos": "benchmarks.truths.m2ib_photos",
        "vq-model": "benchmarks.truths.vq_model",
        "cortex-masking": "benchmarks.truths.cortex_masking",
        "shortcut": "benchmarks.truths.shortcut",
        "fitted-vq": "benchmarks.truths.fitted_vq",
        "concepts-scenes": "benchmarks.truths.concepts_scenes",
        "concepts-photos": "benchmarks.truths.concepts_photos",
        "hierarchy": "benchmarks.truths.hierarchy",
        "kill": "benchmarks.truths.kill",
        "certainty": "benchmarks.truths.certainty",
        "latents-published": "benchmarks.truths.latents_published",
        "null-sheets": "benchmarks.truths.null_sheets",
        "kill-study": "benchmarks.truths.kill_study",
        "union": "benchmarks.truths.union_rows",
    },
}


def main(arguments: list[str]) -> int:
    """Run the rows that were asked for; 2 for a name that does not exist."""
    kind, *asked = arguments or [""]
    if kind not in ROWS:
        sys.stderr.write("usage: python -m benchmarks bench|truth [ROW …]\n")
        return 2
    for name in asked or ROWS[kind]:
        if name not in ROWS[kind]:
            sys.stderr.write(f"there is no {kind} row {name!r}. Known: {', '.join(ROWS[kind])}.\n")
            return 2
    for name in asked or ROWS[kind]:
        try:
            path = keep(kind, import_module(ROWS[kind][name]).measure())
        except LegendaError as error:
            sys.stderr.write(f"{name}: {error}\n")
            return 2
        sys.stdout.write(f"written: {path.relative_to(path.parents[2])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
