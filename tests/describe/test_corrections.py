import json
from datetime import UTC, datetime

import pytest
import torch

from legenda.describe.corrections import (
    Correction,
    correct,
    corrected,
    correction,
    read_corrections,
    write_corrections,
)
from legenda.describe.naming import PERSON, Name
from legenda.errors import BadInput, Missing, Refused
from tests.describe.toys import random

THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def names(count):
    return tuple(Name(i, f"w{i}", 0.5, 0.1, ((f"w{i}", 0.5),), by="toy") for i in range(count))


def test_a_correction_survives_every_rerun():
    atoms = random(5, 0)
    one = correction(2, " fire  engine", atoms, "I looked", THEN)
    assert (one.word, one.note, one.when) == (
        "fire engine",
        "I looked",
        "2026-05-01T12:00:00+00:00",
    )
    done = corrected(names(5), [one], atoms)
    assert [n.word for n in done.names] == ["w0", "w1", "fire engine", "w3", "w4"]
    assert done.names[2].by == PERSON and done.names[2].reason == "I looked"
    assert done.names[2].candidates == (("w2", 0.5),)
    assert done.held == (one,) and not done.moved and not done.orphans
    assert corrected(done.names, done.held, atoms).names == done.names


def test_a_person_may_say_that_no_word_fits():
    atoms = random(3, 0)
    done = corrected(names(3), [correction(1, None, atoms)], atoms)
    assert done.names[1].word is None and done.names[1].reason == "corrected"


def test_a_refitted_dictionary_inherits_no_wrong_name():
    atoms = random(5, 0)
    one, other = correction(2, "boat", atoms), correction(4, "tree", atoms)
    refit = random(5, 1)
    refit[0] = 3 * atoms[2] + 0.05 * random(1, 7)[0]  # unit 2 is unit 0 now; unit 4 is gone
    done = corrected(names(5), [one, other], refit)
    assert [n.word for n in done.names] == ["boat", "w1", "w2", "w3", "w4"]
    assert done.moved == ((2, 0),) and done.orphans == (other,)
    back = corrected(names(5), [*done.held, *done.orphans], atoms)
    assert [n.word for n in back.names] == ["w0", "w1", "boat", "w3", "tree"]


def test_a_dictionary_of_another_width_makes_orphans():
    one = correction(1, "boat", random(3, 0))
    done = corrected(names(3), [one], random(3, 0, 20))
    assert done.orphans == (one,) and done.names == names(3)


def test_of_two_for_one_unit_the_nearer_wins_and_the_other_is_kept_aside():
    atoms = random(4, 0)
    blurred = atoms.clone()
    blurred[1] = atoms[0] + 0.2 * atoms[1]
    near, far = correction(0, "near", atoms), correction(1, "far", blurred)
    refit = random(4, 1)
    refit[3] = 2 * atoms[0]
    for both in ([near, far], [far, near]):
        done = corrected(names(4), both, refit)
        assert done.names[3].word == "near" and done.orphans == (far,)


def test_the_last_word_holds(tmp_path):
    atoms, path = random(3, 0), tmp_path / "corrections.json"
    correct(path, correction(1, "first", atoms))
    correct(path, correction(0, "other", atoms))
    correct(path, correction(1, "last", atoms))
    kept = read_corrections(path)
    assert [one.word for one in kept] == ["other", "last"]
    by_hand = [*kept, Correction(1, "by hand")]
    done = corrected(names(3), by_hand, atoms)
    assert done.names[1].word == "by hand" and not done.orphans
    assert done.held[-1].atom or done.held[0].atom  # it is tied to its atom from now on
    assert all(one.atom and one.direction for one in done.held)


def test_the_file_goes_there_and_back(tmp_path):
    atoms, path = random(3, 0), tmp_path / "deep" / "corrections.json"
    assert read_corrections(path) == ()
    given = (correction(0, "école", atoms, "é", THEN), correction(2, None, atoms))
    write_corrections(path, given)
    assert read_corrections(path) == given
    assert "école" in path.read_text("utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["corrections.json"]
    write_corrections(path, ())
    assert read_corrections(path) == ()


def refusal(function):
    with pytest.raises((BadInput, Refused, Missing)) as found:
        function()
    return str(found.value)


def test_a_file_broken_by_hand_is_refused_with_its_line_and_never_lost(tmp_path):
    path = tmp_path / "corrections.json"
    broken = '{"schema": 1, "corrections": [\n  {"unit": 3, "word": "dog"}\n  {"unit": 4}\n]}'
    path.write_text(broken)
    said = (
        f"{path} is not JSON at line 3, column 3: Expecting ',' delimiter. Mend that line; "
        "nothing in the file was changed."
    )
    assert refusal(lambda: read_corrections(path)) == said
    assert refusal(lambda: write_corrections(path, ())) == said
    assert refusal(lambda: correct(path, Correction(1, "x"))) == said
    assert path.read_text() == broken
    path.write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(lambda: write_corrections(path, ()))
    assert path.read_bytes() == b"\xff\xfe"


@pytest.mark.parametrize(
    ("held", "what"),
    [
        ({"word": "dog"}, 'needs a "unit" (a number) and a "word" (a text, or null where no word '
                          "fits)"),
        ({"unit": True, "word": "dog"}, 'needs a "unit" (a number) and a "word" (a text, or null '
                                        "where no word fits)"),
        ({"unit": 1, "word": "dog", "nte": "x"}, "has a field 'nte' that is not known: unit, "
                                                 "word, note, when, atom, direction are"),
        ({"unit": 1, "word": 7}, "has 7 in 'word', where a text belongs"),
        ({"unit": 1, "word": "dog", "direction": "?"}, "has a direction that is not base64 of an "
                                                       "atom"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_meant_is_refused(tmp_path, held, what):
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps({"schema": 1, "corrections": [{"unit": 0, "word": "a"}, held]}))
    assert refusal(lambda: read_corrections(path)) == (
        f"{path}: correction 2 {what}. Mend it; nothing in the file was changed."
    )


def test_other_files_and_other_units_are_refused(tmp_path):
    path, atoms = tmp_path / "corrections.json", random(3, 0)
    path.write_text('{"schema": 9, "corrections": []}')
    assert refusal(lambda: read_corrections(path)) == (
        f'{path} needs {{"schema": 1, "corrections": [...]}}; it has something else. Mend it; '
        "nothing in the file was changed."
    )
    assert refusal(lambda: correction(3, "dog", atoms)) == (
        "unit 3 is not there to correct; there are 3 units."
    )
    assert refusal(lambda: correction(1, " ", atoms)) == (
        "the correction of unit 1 is empty. Give a word, or None where no word fits."
    )
    assert refusal(lambda: corrected(names(2), [], atoms)) == (
        "3 atoms need a name each, in order; there are 2."
    )
    (tmp_path / "file").write_text("")
    assert refusal(lambda: write_corrections(tmp_path / "file" / "c.json", ())).endswith(
        "Make room there, or choose another folder."
    )


def test_half_precision_is_enough_to_know_an_atom_again():
    atoms = random(200, 0, 512)
    kept = [correction(i, str(i), atoms) for i in range(0, 200, 7)]
    turned = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    done = corrected(names(200), kept, 1.5 * atoms[turned])
    assert all(turned[unit] == int(one.word or -1) for unit, one in
               ((one.unit, one) for one in done.held))  # fmt: skip
    assert len(done.held) == len(kept)
