"""The interface for programs: what it is, and that nothing that its schema allows breaks it."""

import pytest

from legenda.atlas.store import Atlas
from legenda.errors import BadInput
from legenda.studio.app import application
from legenda.studio.live_models import Openers
from legenda.studio.state import Settings
from tests.atlas.made import made
from tests.studio.served import HERE, studio

schemathesis = pytest.importorskip("schemathesis", reason="fuzzing needs legenda[dev]")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

PATHS = {
    "GET /api/jobs/{number}": "200 400 403 404 422",
    "DELETE /api/jobs/{number}": "200 400 403 404 409 413 422",
    "GET /api/jobs/{number}/events": "200 400 403 404 422",
    "POST /api/live/begin": "202 400 403 404 409 413 422",
    "POST /api/live/explain": "202 400 403 404 409 413 422",
    "POST /api/live/measure": "202 400 403 404 409 413 422",
    "POST /api/live/open": "202 400 403 404 409 413 422",
    "POST /api/live/pictures": "201 400 403 404 409 413 422",
    "POST /api/live/search": "202 400 403 404 409 413 422",
    "POST /api/live/slide": "200 400 403 404 409 413 422",
    "POST /api/live/steer": "202 400 403 404 409 413 422",
    "POST /api/live/write": "202 400 403 404 409 413 422",
    "GET /api/overview": "200 400 403 404 422",
    "GET /api/pictures/{number}": "200 400 403 404 422",
    "GET /api/search": "200 400 403 404 422",
    "GET /api/studies": "200 400 403 404 422",
    "GET /api/units/{number}": "200 400 403 404 422",
    "PUT /api/units/{number}/name": "200 400 403 404 409 413 422",
    "GET /media/evidence/{number}/{what}": "200 304 400 403 404 422",
    "GET /media/picture/{number}": "200 304 400 403 404 422",
}
"""Every address for programs, and the statuses that it may answer with."""
EXAMPLES = 20
"""Of each address: in all some hundreds."""


def test_the_schema_is_as_it_was(tmp_path):
    with studio(made(tmp_path / "a")) as (client, _):
        schema = client.get("/openapi.json").json()
    found = {
        f"{method.upper()} {path}": " ".join(sorted(one["responses"]))
        for path, methods in schema["paths"].items()
        for method, one in methods.items()
    }
    assert found == PATHS
    assert schema["openapi"].startswith("3.")
    assert schema["components"]["securitySchemes"]["token"]["name"] == "X-Legenda-Token"
    for key, one in ((k, o) for p in schema["paths"].values() for k, o in p.items()):
        assert one["description"], "every address says what it is for"
        assert bool(one.get("security")) == (key != "get"), "what writes shows the token"


def test_every_field_of_an_answer_is_named(tmp_path):
    with studio(made(tmp_path / "a")) as (client, _):
        parts = client.get("/openapi.json").json()["components"]["schemas"]
    assert set(parts["Unit"]["required"]) == set(parts["Unit"]["properties"])
    assert {"control", "control_low", "control_high", "low", "high", "n"} <= set(
        parts["Scored"]["properties"]
    )


def closed(ref, device):
    raise BadInput(f"{ref} is closed for the fuzz.")


class Lasting:
    """An application that outlives the many clients of a fuzz, each of which would end it."""

    def __init__(self, app):
        self.app, self.studio = app, app.studio

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await self.app(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("atlas") / "a")
    app = application(
        Atlas(folder, write=True), Settings(edit=True, models=("my:model",)),
        Openers(closed, closed, closed, closed),
    )  # fmt: skip
    yield Lasting(app)
    app.studio.close()


@pytest.fixture(scope="module")
def sent(fuzzed):
    return {"host": HERE.removeprefix("http://"), "x-legenda-token": fuzzed.studio.token}


@pytest.fixture(scope="module")
def schema(fuzzed, sent):
    return schemathesis.openapi.from_asgi("/openapi.json", fuzzed, headers=sent)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", PATHS)
def test_nothing_that_the_schema_allows_breaks_it(fuzzed, sent, schema, address):
    method, path = address.split()
    operation = schema[path][method]
    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    checks += [response_schema_conformance]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def asked(case):
        answer = case.call(headers=sent)
        case.validate_response(answer, checks=checks)

    asked()
    for job in list(fuzzed.studio.jobs.all):
        fuzzed.studio.jobs.cancel(job)
