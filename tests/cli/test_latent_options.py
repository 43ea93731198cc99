"""What `legenda latents` is asked for, as it is typed."""

import pytest

from legenda.cli.latent_options import (
    PUBLISHED,
    described,
    listed,
    lmm_of,
    settings_from,
    values_of,
)
from legenda.errors import LegendaError
from legenda.tasks.latent_describers import ByMeasure, ByModel
from legenda.tasks.latent_settings import LatentSettings

NONE: dict[str, str | None] = dict.fromkeys(("rows", "frames", "span", "values", "threshold", "alpha", "nulls", "seed"))  # fmt: skip # noqa: E501
QUIET = dict.fromkeys(("url", "model", "prompt", "tied_to", "samples", "temperature", "most_calls"))
URL = "http://127.0.0.1:9/v1"


def refusal(call, *given, **more):
    with pytest.raises(LegendaError) as caught:
        call(*given, **more)
    return str(caught.value)


def asked(tmp_path, name="lmm", words=None, **more):
    given = {**QUIET, "url": URL, "model": "m", **more} if name == "lmm" else {**QUIET, **more}
    return described(name, words, LatentSettings(), device="cpu", answers=tmp_path, **given)


def test_nothing_typed_is_the_default():
    assert settings_from(**NONE) == LatentSettings()


def test_what_is_typed_is_taken():
    typed = {"rows": "6", "frames": "5", "span": "0.5", "values": "-2,0,2", "threshold": "0.4", "alpha": "0.1", "nulls": "0", "seed": "7"}  # fmt: skip # noqa: E501
    assert settings_from(**typed) == LatentSettings(
        rows=6, frames=5, span=0.5, values=(-2.0, 0.0, 2.0), threshold=0.4, alpha=0.1, nulls=0,
        seed=7,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "typed", "sentence"), [
    ("rows", "0", "--rows needs 1 or more; it got 0."),
    ("rows", "1", "rows of a study of latents must be 2 or more; got 1."),
    ("rows", "x", "--rows needs a whole number; it got 'x'."),
    ("frames", "3", "frames of a study of latents must be 4 or more; got 3."),
    ("span", "1", "span and alpha of a study lie between 0 and 1; got 1.0 and 0.05."),
    ("span", "nan", "--span needs a number from 0 to 1; it got 'nan'."),
    ("alpha", "0", "span and alpha of a study lie between 0 and 1; got 0.95 and 0.0."),
    ("threshold", "2", "--threshold needs a number from 0 to 1; it got '2'."),
    ("nulls", "-1", "--nulls needs 0 or more; it got -1."),
    ("seed", "-1", "--seed needs 0 or more; it got -1."),
    ("values", "a", "--values needs numbers with commas between, such as 1,2,3; it got 'a'."),
    ("values", "", "--values needs steps that rise, such as -2,0,2, or published; it got ''."),
    ("values", "0,nan", "--values needs steps that rise, such as -2,0,2, or published; it got '0,nan'."),  # noqa: E501
])  # fmt: skip
def test_settings_are_refused_in_a_sentence(name, typed, sentence):
    assert refusal(settings_from, **{**NONE, name: typed}) == sentence


def test_options_without_a_value_are_taken():
    found = settings_from(**NONE, move="add", conformal=True, adaptive=True)
    assert found == LatentSettings(move="add", conformal=True, adaptive=True)
    assert refusal(settings_from, **NONE, move="ad") == (
        "--move is set or add; it got 'ad'. Did you mean 'add'?"
    )
    assert refusal(settings_from, **{**NONE, "threshold": "0.5"}, conformal=True) == (
        "--conformal finds what is named by itself. Leave it or --threshold out."
    )


def test_the_published_steps_have_a_name():
    assert values_of("published") == PUBLISHED == (-3.0, -1.5, 0.0, 1.5, 3.0)
    assert values_of("-1,0.5") == (-1.0, 0.5)


def test_units_are_numbers_each_once():
    assert listed(None) is None and listed("0,3,5") == [0, 3, 5]
    for typed in ("1,1", ""):
        assert refusal(listed, typed) == (
            f"--units needs numbers, each once, such as 0,3,5; it got {typed!r}."
        )
    for typed in (",", "1.5", "one", "1,,2"):
        assert refusal(listed, typed) == (
            f"--units needs numbers with commas between, such as 1,2,3; it got {typed!r}."
        )


def test_measurement_needs_nothing(tmp_path):
    found = asked(tmp_path, "measured")
    assert found.ask is ByMeasure and found.near is None and found.lmm is None


def test_a_describer_that_is_not_there_is_refused(tmp_path):
    assert refusal(asked, tmp_path, "mesured") == (
        "--describer is measured, lmm, words; it got 'mesured'. Did you mean 'measured'?"
    )


@pytest.mark.parametrize("option", QUIET)
def test_options_of_a_language_model_are_for_it_alone(tmp_path, option):
    typed = {"url": "lmm-url", "model": "lmm-model"}.get(option, option.replace("_", "-"))
    assert refusal(asked, tmp_path, "measured", **{option: "1"}) == (
        f"--{typed} is about a language model. Add --describer lmm."
    )


def test_a_language_model_by_options(tmp_path, monkeypatch):
    monkeypatch.setenv("LEGENDA_CHAT_KEY", "sesame-open")
    found = asked(tmp_path, samples="3", temperature="0.2", most_calls="9", prompt="conditional", tied_to="hair")  # fmt: skip # noqa: E501
    lmm = found.lmm
    assert (lmm.samples, lmm.temperature, lmm.prompt, lmm.tied_to) == (3, 0.2, "conditional", "hair")  # fmt: skip # noqa: E501
    assert (lmm.chat.url, lmm.chat.model, lmm.chat.key) == (URL, "m", "sesame-open")
    assert lmm.chat.budget.most_calls == 9 and lmm.chat.answers == tmp_path
    assert found.ask(None) == ByModel(lmm) and "sesame" not in repr(found)


def test_a_language_model_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LEGENDA_CHAT_URL", URL)
    monkeypatch.setenv("LEGENDA_CHAT_MODEL", "other")
    assert asked(tmp_path, url=None, model=None).lmm.chat.model == "other"
    assert asked(tmp_path).lmm.chat.model == "m"


def test_a_language_model_that_nobody_names(tmp_path, monkeypatch):
    for name in ("LEGENDA_CHAT_URL", "LEGENDA_CHAT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    given = (None, None, None, None, None, None, None, tmp_path, 0)
    assert refusal(lmm_of, *given) == (
        "--describer lmm needs a chat model that sees: give --lmm-url and --lmm-model, or set "
        "LEGENDA_CHAT_URL and LEGENDA_CHAT_MODEL; `measured` needs none."
    )


@pytest.mark.parametrize("version", ["plain.v1", "plain", "invariance"])
def test_a_prompt_by_its_name_and_version(tmp_path, version):
    assert asked(tmp_path, prompt=version).lmm.prompt == version


@pytest.mark.parametrize(("more", "sentence"), [
    ({"url": "ftp://x/v1"}, "Chat needs an address that begins with http:// or https://, and a model; it got 'ftp://x/v1' and 'm'."),  # noqa: E501
    ({"url": "http://me:sesame@x/v1"}, "the address of a chat model holds no name or password. Set LEGENDA_CHAT_KEY instead."),  # noqa: E501
    ({"prompt": "plane"}, "there is no prompt 'plane', and no such file. Did you mean 'plain'? Prompts that ship: combination, conditional, invariance, plain."),  # noqa: E501
    ({"prompt": "conditional"}, "the prompt conditional speaks of {property}, and none was given. Give it, or choose another prompt."),  # noqa: E501
    ({"samples": "0"}, "--samples needs 1 or more; it got 0."),
    ({"temperature": "-1"}, "--temperature needs a number from 0 to 10; it got '-1'."),
    ({"most_calls": "-1"}, "--most-calls needs 0 or more; it got -1."),
])  # fmt: skip
def test_a_language_model_is_refused_in_a_sentence(tmp_path, more, sentence):
    assert refusal(asked, tmp_path, **more) == sentence


def test_a_prompt_in_a_file(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("Look at {rows} rows and say {what}.")
    assert refusal(asked, tmp_path, prompt=str(path)) == (
        "the prompt mine asks for {what}, which nobody fills in. Known are {columns}, {property}, "
        "{rows}, {words}."
    )
    path.write_text("Look at {rows} rows.")
    assert asked(tmp_path, prompt=str(path)).lmm.prompt == str(path)
