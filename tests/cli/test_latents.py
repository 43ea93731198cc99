"""`legenda latents` through `main`: what it writes, what it asks, and what it refuses."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from legenda.cli import main
from legenda.describe.lmm import NOT_ASKED
from tests.cli.latent_model import BLIND, COLOUR, GREY, MAPS, TASKS
from tests.describe.server_process import running

KEY = "sesame-open-4711"
QUICK = ["--rows", "3", "--frames", "4", "--units", "2"]
ASKING = [GREY, *QUICK, "--describer", "lmm", "--samples", "2", "--nulls", "2"]
QUESTIONS = 2 + 2 * 2
"""What ASKING asks: two of the unit, and two of each of two sheets without a pattern."""


@pytest.fixture(scope="module")
def server():
    with running("tests.describe.chat_server") as url:
        yield url


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("URL", "MODEL"):
        monkeypatch.delenv(f"LEGENDA_CHAT_{name}", raising=False)
    monkeypatch.setenv("LEGENDA_CHAT_KEY", KEY)
    monkeypatch.delenv("LEGENDA_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(capsys, *words, code=0):
    assert main(["latents", *words]) == code
    out, err = capsys.readouterr()
    assert KEY not in out + err
    return out, err


def told(capsys, *words, code=0):
    """The one JSON object on stdout."""
    (line,) = ran(capsys, *words, "--json", code=code)[0].splitlines()
    return json.loads(line)


def asked(url, model):
    return httpx.get(url.replace("/v1", "/asked")).json().get(model, 0)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def painted(folder, count, side=40):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        picture = Image.new("RGB", (side, side))
        picture.paste((200, 90, 40), (4 + i % 9, 6 + i % 7, 18 + i % 11, 20 + i % 7))
        picture.save(folder / f"{i:02d}.png")


# ------------------------------------------------------------------------------- what is written


def test_a_folder_holds_page_sheets_and_record(here, capsys):
    out, err = ran(capsys, GREY, "--rows", "4")
    assert err == "legenda-latents/index.html\n"
    assert out.startswith("grey: of 6 units, 4 have a clear explanation, 1 has none, and 1 is inactive.\n")  # fmt: skip # noqa: E501
    made = files(here / "legenda-latents")
    assert sorted(made) == ["index.html", "latents.json", *(f"sheets/unit-00{i}.png" for i in range(5))]  # fmt: skip # noqa: E501
    said = json.loads(made["latents.json"])
    for unit, name in TASKS.items():
        assert said["units"][unit]["answer"]["attribute"] == name
    assert [u["verdict"] for u in said["units"][4:]] == ["abstained", "inactive"]
    assert {"seconds", "calls"}.isdisjoint(said), "what differs between runs is not in the record"


def test_a_page_alone_and_one_json_object(here, capsys):
    said = told(capsys, COLOUR, *QUICK, "--out", "o.html")
    assert sorted(files(here)) == ["o.html"]
    assert (said["kind"], said["model"], said["calls"]) == ("latents", "colour", 0)
    assert said["units"][0]["answer"]["attribute"] == "size" and said["seconds"] > 0


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(here, capsys):
    for name, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        ran(capsys, GREY, *QUICK, "--seed", seed, "--out", name)
    one, two, three = (files(here / name) for name in ("one", "two", "three"))
    assert one["latents.json"] == two["latents.json"] != three["latents.json"]
    assert one["sheets/unit-002.png"] == two["sheets/unit-002.png"]
    assert one["index.html"] == two["index.html"].replace(b"--out=two", b"--out=one")


def test_the_command_on_the_page_makes_it_again(here, capsys):
    ran(capsys, GREY, *QUICK, "--values", "published", "--seed", "3", "--out", "o.html")
    text = Path("o.html").read_text("utf-8")
    command = f"legenda latents {GREY} --units=2 --rows=3 --frames=4 --values=published --seed=3 --out=o.html"  # fmt: skip # noqa: E501
    assert command in text and "-3.00" in text
    assert main(shlex.split(command)[1:]) == 0
    assert Path("o.html").read_text("utf-8") == text


def test_sheets_of_another_run_do_not_stay(here, capsys):
    ran(capsys, GREY, *QUICK[:-1], "0", "--out", "f")
    ran(capsys, GREY, *QUICK, "--out", "f")
    assert sorted(files(here / "f")) == ["index.html", "latents.json", "sheets/unit-002.png"]


@pytest.mark.parametrize("name", ["latents.json", "sheets/unit-002.png", "index.html", "sheets"])
def test_nothing_of_others_is_written_over(here, capsys, name):
    path = here / "f" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    _, err = ran(capsys, GREY, *QUICK, "--out", "f", code=2)
    assert err.startswith(f"legenda: f/{name} is") and err.endswith("Choose another --out.\n")
    assert files(here) == {f"f/{name}": b"mine"}


def test_pictures_begin_the_rows_and_bad_ones_are_left_out(here, capsys):
    painted(here / "pics", 18)
    (here / "pics/bad.png").write_bytes(b"no picture")
    out, err = ran(capsys, GREY, *QUICK, "--images", "pics", "--json", "--out", "o.html")
    assert json.loads(out)["anchors"] == "pictures"
    first, last = err.splitlines()
    assert first.startswith("legenda: left out: pics/bad.png is not an image that legenda reads")
    assert last == "o.html"


def test_a_grid_of_latents_begins_at_pictures(here, capsys):
    painted(here / "pics", 18)
    said = told(capsys, MAPS, *QUICK, "--images", "pics", "--out", "o.html")
    assert said["units"][0]["index"] == 2 and said["units"][0]["verdict"] != "inactive"


# ------------------------------------------------------------------------------- refusals

NO_DECODER = "a study of latents needs a model that decodes; {} has none. For encoders use `legenda concepts` or `legenda survey`."  # noqa: E501
REFUSED: list[tuple[list[str], str]] = [
    ([BLIND], NO_DECODER.format(BLIND)),
    ([GREY, "--units", "6"], "unit 6 is not in grey/latents, which has 6 units, numbered from 0. Choose one of them."),  # noqa: E501
    ([GREY, "--units", "-1"], "unit -1 is not in grey/latents, which has 6 units, numbered from 0. Choose one of them."),  # noqa: E501
    ([GREY, "--units", "first"], "--units needs numbers with commas between, such as 1,2,3; it got 'first'."),  # noqa: E501
    ([GREY, "--values", "2,1"], "Traversal needs 2 values or more that rise; it got (2.0, 1.0)."),
    ([GREY, "--values=-1,1"], "a study of latents needs 3 steps or more, since two have no order but forth and back; values are (-1.0, 1.0). Give more."),  # noqa: E501
    ([GREY, "--move", "sit"], "--move is set or add; it got 'sit'. Did you mean 'set'?"),
    ([GREY, "--conformal", "--threshold", "0.4"], "--conformal finds what is named by itself. Leave it or --threshold out."),  # noqa: E501
    ([MAPS], "the units of maps lie on a grid: no prior says where to begin. Give --images."),
    ([GREY, "--images", "nowhere"], "source of pictures nowhere is not there. Check the path."),
    ([GREY, "--dictionary", "nowhere"], "--dictionary names a file of directions or a folder of concepts; there is no nowhere."),  # noqa: E501
    ([GREY, "--describer", "lmm", "--lmm-url", "ftp://x/v1", "--lmm-model", "m"], "Chat needs an address that begins with http:// or https://, and a model; it got 'ftp://x/v1' and 'm'."),  # noqa: E501
    ([GREY, "--out", "few/00.png"], "--out few/00.png is a file; a folder, or a name ending in .html, is needed."),  # noqa: E501
    ([GREY, "--device", "cuda:9"], "there is no device 'cuda:9' here. Choose one of: cpu."),
    (["nowhere"], "there is no model 'nowhere': it is no folder here, and no zoo:, hf: or package.module:factory reference. List what can be opened with `legenda models`."),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=lambda v: str(v)[-40:])
def test_bad_input_gets_one_sentence_and_leaves_nothing(here, capsys, words, sentence):
    painted(here / "few", 2)
    before = files(here)
    assert ran(capsys, *words, code=2) == ("", f"legenda: {sentence}\n")
    assert files(here) == before and [p.name for p in here.iterdir()] == ["few"]
    assert told(capsys, *words, code=2) == {"error": sentence}


def test_too_few_pictures_are_refused_with_their_number(here, capsys):
    painted(here / "few", 2)
    out, err = ran(capsys, GREY, "--images", "few", code=2)
    assert out == "" and err.startswith("legenda: a study of latents ") and "it got 2." in err


def test_where_no_picture_can_be_read_the_reason_is_said(here, capsys):
    (here / "pics").mkdir()
    (here / "pics/bad.png").write_bytes(b"no picture")
    _, err = ran(capsys, GREY, "--images", "pics", code=2)
    assert err.splitlines()[-1].startswith("legenda: pics/bad.png is not an image")


# ------------------------------------------------------------------------------- a language model


def test_a_study_is_replayed_without_a_call(here, capsys, server, monkeypatch):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "sure", "--out", "f"]
    said = told(capsys, *words)
    assert said["calls"] == QUESTIONS == asked(server, "sure")
    assert said["describer"] == "the language model sure"
    assert [a["attribute"] for a in said["units"][0]["answers"]] == ["size", "size"]
    before = files(here / "f")
    monkeypatch.setenv("LEGENDA_OFFLINE", "1")
    assert told(capsys, *words)["calls"] == 0 and asked(server, "sure") == QUESTIONS
    assert files(here / "f") == before
    assert all(KEY.encode() not in data for data in before.values())
    gone = [w if w != server else "http://127.0.0.1:9/v1" for w in words]
    assert told(capsys, *gone)["calls"] == 0, "a server is known by its model, not its address"


def test_a_dry_run_sends_and_writes_nothing(here, capsys, server):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "unasked", "--dry-run"]
    said = told(capsys, *words)
    assert (said["kind"], said["calls"], said["stored"]) == ("cost", QUESTIONS, 0)
    assert said["tokens"] > 100 * QUESTIONS
    out, err = ran(capsys, *words)
    assert out.startswith(f"{QUESTIONS} requests of about ") and err == ""
    assert asked(server, "unasked") == 0 and list(here.iterdir()) == []
    assert ran(capsys, GREY, *QUICK, "--dry-run")[0] == (
        "1 unit, 44 frames; no language model is asked\n"
    )
    assert ran(capsys, GREY, *QUICK[:-1], "0,2", "--dry-run")[0] == (
        "2 units, 88 frames; no language model is asked\n"
    )


def test_a_dry_run_counts_what_is_kept_already(here, capsys, server):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "sure", "--out", "f"]
    told(capsys, *words)
    said = told(capsys, *words, "--dry-run")
    assert (said["calls"], said["stored"], said["tokens"]) == (0, QUESTIONS, 0)
    assert " ".join(ran(capsys, *words, "--dry-run")[0].split()) == (
        "0 requests of about 0 tokens in all, for 1 unit and 2 sheets without a pattern; "
        f"{QUESTIONS} answers are kept already"
    )
    nulls = words.index("--nulls") + 1
    said = told(capsys, *words[:nulls], "4", *words[nulls + 1 :], "--dry-run")
    assert (said["calls"], said["stored"]) == (2 * 2, QUESTIONS)


def test_fewer_are_asked_where_answers_are_steady(here, capsys, server):
    base = [GREY, *QUICK, "--describer", "lmm", "--samples", "6", "--nulls", "2", "--lmm-url", server, "--lmm-model", "sure", "--out", "f"]  # fmt: skip # noqa: E501
    words = [*base, "--adaptive"]
    before = asked(server, "sure")
    assert ran(capsys, *words, "--dry-run")[0].startswith("at most 18 requests of about ")
    said = told(capsys, *words)
    assert said["calls"] == asked(server, "sure") - before == 3 * 3
    assert said["units"][0]["asked"] == {"answers": 3, "most": 6}
    assert said["settings"]["adaptive"] == "True"
    page = (here / "f/index.html").read_text("utf-8")
    assert "from 3 answers, of at most 6;" in page and "--adaptive" in page
    out, _ = ran(capsys, *words)
    assert "3 of 6" in out and asked(server, "sure") == before + 9, "all is replayed"
    full = told(capsys, *base)  # the rest alone
    assert full["calls"] == 9 and full["units"][0]["asked"] == {"answers": 6, "most": 6}
    assert full["units"][0]["answers"][:3] == said["units"][0]["answers"]


def test_a_model_that_disagrees_is_asked_to_the_end(here, capsys, server):
    words = [GREY, *QUICK, "--describer", "lmm", "--samples", "4", "--nulls", "0", "--adaptive", "--lmm-url", server]  # fmt: skip # noqa: E501
    said = told(capsys, *words, "--lmm-model", "torn", "--out", "f")
    assert said["calls"] == 4 and said["units"][0]["asked"] == {"answers": 4, "most": 4}


def test_names_by_conformal_p_values(here, capsys, server):
    words = [GREY, "--rows", "4", "--conformal", "--out", "f"]
    said = told(capsys, *words)
    assert said["naming"] == "conformal" and said["settings"]["conformal"] == "True"
    assert [u["verdict"] for u in said["units"]] == ["named"] * 4 + ["abstained", "inactive"]
    assert all(0 < u["q"] <= 0.05 for u in said["units"][:4]) and said["units"][5]["q"] is None
    page = (here / "f/index.html").read_text("utf-8")
    assert "conformal p values" in page and "named up to 0.05" in page and "--conformal" in page
    plain = told(capsys, *words[:3], "--out", "g")
    assert plain["naming"] == "quantile" and plain["units"][0]["q"] is None
    assert [u["certainty"] for u in plain["units"]] == [u["certainty"] for u in said["units"]]
    asking = [*ASKING, "--lmm-url", server, "--lmm-model", "never", "--conformal"]
    for more in ([], ["--dry-run"]):
        _, err = ran(capsys, *asking, *more, code=2)
        assert err.startswith("legenda: conformal names at alpha 0.05 need 152 sheets without a pattern or more; the language model")  # fmt: skip # noqa: E501
    assert asked(server, "never") == 0


def test_a_grid_is_added_to_and_may_be_set(here, capsys):
    painted(here / "pics", 18)
    words = [MAPS, *QUICK, "--images", "pics", "--out", "o.html"]
    added, as_set = told(capsys, *words), told(capsys, *words, "--move", "set")
    assert added["settings"]["move"] == "add" and as_set["settings"]["move"] == "set"
    assert added["units"][0]["effect"] != as_set["units"][0]["effect"]
    assert "--move=set" in Path("o.html").read_text("utf-8")
    assert told(capsys, GREY, *QUICK, "--move", "add", "--out", "o.html")["settings"]["move"] == "add"  # fmt: skip # noqa: E501


@pytest.mark.parametrize(("model", "why"), [
    ("html", "answered with a web page, not in the chat protocol. It should end in /v1."),
    ("half", "sent no whole JSON: it breaks at character "),
    ("empty", "answered nothing. Allow a longer answer, or choose another model."),
])  # fmt: skip
def test_a_server_that_fails_makes_a_unit_abstain_and_is_asked_again(here, capsys, server, model, why):  # fmt: skip # noqa: E501
    words = [*ASKING[:-1], "0", "--lmm-url", server, "--lmm-model", model, "--out", "f"]
    (unit,) = told(capsys, *words)["units"]
    assert unit["verdict"] == "abstained" and unit["reason"].startswith(NOT_ASKED)
    assert why in unit["reason"] and asked(server, model) == 2
    text = (here / "f/index.html").read_text("utf-8")
    assert "2 of 2 answers could not be had." in text and not list(here.rglob("answers/*.json"))
    told(capsys, *words)
    assert asked(server, model) == 4


def test_a_refusal_to_answer_is_kept_and_told(here, capsys, server):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "sorry", "--out", "f"]
    (unit,) = told(capsys, *words)["units"]
    assert unit["verdict"] == "abstained"
    assert unit["reason"].startswith("its answer could not be read: it holds no JSON object (“I'm sorry, but")  # fmt: skip # noqa: E501
    told(capsys, *words)
    assert asked(server, "sorry") == QUESTIONS


@pytest.mark.slow
def test_a_server_that_is_down_is_said_and_the_study_goes_on(here, capsys):
    words = [*ASKING[:-1], "0", "--lmm-url", "http://127.0.0.1:9/v1", "--lmm-model", "m"]
    (unit,) = told(capsys, *words, "--out", "o.html")["units"]
    assert unit["reason"].startswith(f"{NOT_ASKED}no answer from http://127.0.0.1:9/v1 in 3 tries")


def test_a_wrong_key_ends_it_in_one_sentence(here, capsys, server):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "locked"]
    assert ran(capsys, *words, code=2) == (
        "",
        f"legenda: {server} did not accept the key (status 401). Set LEGENDA_CHAT_KEY to one that "
        "it knows.\n",
    )
    assert list(here.iterdir()) == []


def test_a_cap_on_calls_keeps_what_was_answered(here, capsys, server, monkeypatch):
    words = [*ASKING, "--lmm-url", server, "--lmm-model", "counted"]
    _, err = ran(capsys, *words, "--most-calls", "3", code=2)
    assert err == (
        "legenda: the cap of 3 calls is reached. What was answered is kept: raise the cap to go on "
        "from here.\n"
    )
    assert asked(server, "counted") == 3 == len(list(here.rglob("answers/*.json")))
    assert told(capsys, *words)["calls"] == QUESTIONS - 3
    assert asked(server, "counted") == QUESTIONS


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on_later(here, capsys, server):
    six = [GREY, *QUICK, "--describer", "lmm", "--samples", "6", "--nulls", "2"]  # takes longer
    words = ["latents", *six, "--lmm-url", server, "--lmm-model", "slow"]
    questions = 6 + 2 * 6
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    hears = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # whatever started us
    code = f"import signal, sys; {hears}; from legenda.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 90
    while not list(here.rglob("answers/*.json")) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert not list(here.rglob("*.html")) and not list(here.rglob("*.part"))
    kept = len(list(here.rglob("answers/*.json")))
    assert 0 < kept < questions
    assert told(capsys, *words[1:])["calls"] == questions - kept
