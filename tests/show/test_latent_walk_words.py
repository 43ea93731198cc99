"""What is said of directions of a diffusion model."""

import json
from dataclasses import replace
from functools import cache

from legenda.show.latent_walk_words import by_lot, directions, plain
from legenda.show.latents import page
from legenda.show.latents import plain as record
from legenda.tasks.latent_story import Lot, Walked
from legenda.tasks.latent_walks import WALKS, directions_of, walks
from legenda.tasks.latents import study
from tests.tasks.latent_world import SMALL, discs
from tests.tasks.walk_world import painter

LOTS = (Lot("random", 1, 5, 0.0101, (0.008, 0.012)), Lot("smooth", 0, 5, 0.067, (0.05, float("nan"))))  # fmt: skip # noqa: E501
FOUND = Walked("mid_block", 0.7, 8, (19.13, 10.29), True, LOTS)


@cache
def told():
    source = walks(painter(), 2, seeds=2)
    how = replace(WALKS, rows=3, fresh=2, pool=24, frames=4)
    return study(directions_of(source), how, source=source)


def test_the_sentence_says_how_directions_were_found_and_how_others_fared():
    named = sum(unit.verdict == "named" for unit in told().units)
    effect = sum(unit.effect for unit in told().units) / 2
    assert directions(replace(told(), walked=FOUND)) == (
        "The units are the directions from noisy pictures, at time 0.7, along which mid_block "
        "changes most (by 19.1 to 10.3 per length), shared by 8 seeds of noise that begin no row. "
        f"Any direction changes pictures: of these 2, {named} are named, and colours change by "
        f"{effect:.3f} of white along a row. As a control, directions of the same length by lot "
        "went through the same: of 5 wholly random ones 1 is named (95 %: 4 to 62 %), colours "
        "changing by 0.010; of 5 smooth ones 0 are named (95 %: 0 to 43 %), colours changing by "
        "0.067."
    )
    assert named == 2


def test_a_search_that_stopped_early_is_told():
    said = directions(replace(told(), walked=replace(FOUND, converged=False)))
    assert "begin no row. They are not found exactly: the search stopped early. Any" in said


def test_units_of_other_kinds_say_nothing_of_directions():
    latents = study(discs(), replace(WALKS, **SMALL), only=[0])
    assert directions(latents) == "" and "walked" not in record(latents)
    assert "by lot" not in page(latents)


def test_the_page_and_the_record_hold_it():
    text = page(told())
    assert "As a control, directions of the same length by lot went through the same" in text
    said = record(told())["walked"]
    assert said["strengths"] == list(told().walked.strengths)
    json.dumps(plain(FOUND), allow_nan=False)
    assert plain(FOUND)["by_lot"][1]["interval"] == [0.05, None] and plain(None) is None


def test_one_lot_in_words():
    assert by_lot(LOTS[0]).startswith("of 5 wholly random ones 1 is named (95 %: 4 to 62 %)")
