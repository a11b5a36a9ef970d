"""Our own OpenAPI document, read by schemathesis: what it makes of each operation, right and wrong, breaks nothing.

POGO_TEST_FUZZ: how many of each, for a longer run.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from api_rig import Client, People
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core import NOT_SET
from schemathesis.schemas import APIOperation
from structlog.testing import capture_logs
from test_fuzz import LEFT_OUT, PLACES

from pogo.model import App, Release

EXAMPLES = int(os.environ.get("POGO_TEST_FUZZ", "1"))


def call(client: Client, case: Case, places: dict[str, str]) -> Any:
    """As schemathesis serializes it; in the path, names of what is there."""
    case.path_parameters = {**case.path_parameters, **places}
    sent = case.as_transport_kwargs(base_url="http://localhost:8080")
    names = {name: quote(str(value), safe="~@") for name, value in case.path_parameters.items()}
    content = sent.get("data", NOT_SET)
    return client.http.request(
        case.method,
        case.path.format(**names),
        params=sent["params"],
        headers={**sent["headers"], "Authorization": f"Bearer {client.token}"},
        json=sent.get("json"),
        content=content if isinstance(content, bytes | str) else None,
        follow_redirects=False,
    )


def wrong(client: Client, operation: APIOperation, mode: GenerationMode) -> str:
    """What went wrong first, if anything did."""
    failures: list[str] = []
    parts = operation.path.strip("/").split("/")
    there = {part[1:-1]: st.sampled_from([PLACES[part[1:-1]][0]]) for part in parts if part[1:-1] in PLACES}

    @settings(
        max_examples=2 * EXAMPLES,  # the first is the simplest there is
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), places=st.fixed_dictionaries({}, optional=there))
    def attempt(case: Case, places: dict[str, str]) -> None:
        answer = call(client, case, places)
        page = answer.headers.get("content-type", "").startswith("text/html")  # for browsers
        told = {} if page or answer.status_code < 400 else answer.json()
        if answer.status_code >= 500 or (told and not (told.get("id") and told.get("message"))):
            failures.append(f"{answer.status_code} {answer.text[:300]} after {answer.request.url} {case.body!r}")

    with capture_logs():
        attempt()
    return failures[0] if failures else ""


@pytest.mark.timeout(300 + 60 * EXAMPLES)
def test_what_schemathesis_makes_of_our_own_operations(
    everyone: People, app: App, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "")
    client = everyone.ann
    schema = schemathesis.openapi.from_dict(client.http.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    tried = [one for one in operations if one.label not in LEFT_OUT]
    assert len(tried) > 250
    # Without a body nothing could be wrong, for any text is a name; test_fuzz.py calls such operations, too.
    bare = [GenerationMode.POSITIVE] if EXAMPLES > 1 else []
    modes = {True: [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], False: bare}
    failures = {
        f"{one.label}, {mode.value}": said
        for one in tried
        for mode in modes[bool(one.body)]
        if (said := wrong(client, one, mode))
    }
    assert not failures, "\n".join(f"{key}: {said}" for key, said in failures.items())
