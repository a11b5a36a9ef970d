"""Bodies, paths, queries and headers that nobody would think of: never a fault of ours, always an error that says why.

Each operation of our own OpenAPI document, and each link of Heroku's schema that takes a body, gets bodies that fit and
bodies that do not. POGO_TEST_FUZZ: how many of each, for a longer run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from api_rig import Client, People
from heroku_schema import HerokuSchema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pogo.model import App, Release

EXAMPLES = int(os.environ.get("POGO_TEST_FUZZ", "1"))
DEEPEST = 3

# Streams without an end, and what would end the caller's own account or token in the middle of the run.
LEFT_OUT = {
    "GET /logs/{secret}",
    "GET /streams/{kind}/{id}",
    "DELETE /account",
    "DELETE /users/~",
    "DELETE /apps/{app}",
}

ODD = [
    "",
    "~",
    "none",
    "0",
    "-1",
    "a" * 300,
    "../x",
    "%00",
    "é",
    "\N{PILE OF POO}",
    "a b",
    "'",
    "v99999999999999999999",
]
texts = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
known_values = st.sampled_from(["shop", "ann@example.com", "eve@example.com", "web", "worker", "Basic", "pogo-13", "1"])


class Bodies:
    """Strategies for bodies: of a JSON schema with references, now and then wrong in one place."""

    def __init__(self, document: Any) -> None:
        self.document = document

    def of(self, schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
        schema = self.resolved(schema)
        if depth > DEEPEST or not isinstance(schema, dict):
            return values
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return st.one_of([self.of(one, depth + 1) for one in schema[several]])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return st.one_of([self._of_type(kind, schema, depth) for kind in kinds] or [values])

    def _of_type(self, kind: str, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if kind == "object":
            fields = {name: self.of(one, depth + 1) | values for name, one in schema.get("properties", {}).items()}
            needed = {name: fields.pop(name) for name in schema.get("required", []) if name in fields}
            if needed or fields:
                return st.fixed_dictionaries(needed, optional=fields)
            return st.dictionaries(texts, values | texts, max_size=3)
        if kind == "array":
            return st.lists(self.of(schema.get("items", {}), depth + 1), max_size=3)
        plain: dict[str, st.SearchStrategy[Any]] = {
            "string": texts | known_values,
            "integer": st.integers(-(2**70), 2**70) | st.integers(0, 3),
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "boolean": st.booleans(),
            "null": st.none(),
        }
        return plain.get(kind, values)

    def resolved(self, schema: Any) -> Any:
        while isinstance(schema, dict) and "$ref" in schema:
            found = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema


def ours(client: Client) -> Iterator[tuple[str, str, st.SearchStrategy[Any]]]:
    document = client.http.get("/openapi.json").json()
    bodies = Bodies(document)
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            wanted = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            yield method.upper(), path, bodies.of(wanted) | values if wanted else st.just(None)


def herokus(schema: HerokuSchema) -> Iterator[tuple[str, str, st.SearchStrategy[Any]]]:
    bodies = Bodies(schema.document)
    for resource in schema.document["definitions"].values():
        for link in resource.get("links", []):
            path = re.sub(r"\{.*?/definitions/([\w-]+)/definitions/.*?\}", r"{\1}", unquote(link["href"]))
            if "schema" in link:
                yield link["method"], path, bodies.of(link["schema"])


PLACES = {"app": ["shop"], "team-app": ["shop"], "user": ["ann@example.com", "~"], "account": ["~"], "type": ["web"]}


def filled(path: str) -> st.SearchStrategy[str]:
    """Names of what is there, mostly, since behind them is more to be broken."""
    parts = [
        st.sampled_from(PLACES[part[1:-1]] * 4 + ["none"]) | texts
        if part[1:-1] in PLACES
        else texts
        if part.startswith("{")
        else st.just(part)
        for part in path.strip("/").split("/")
    ]
    return st.tuples(*parts).map(lambda found: "/" + "/".join(quote(one, safe="~@") for one in found))


headers = st.fixed_dictionaries(
    {},
    optional={
        "Range": st.sampled_from(["", "id ..; max=1", "name ]a..z; order=desc,max=2", "version ..; max=1000"]) | texts,
        "If-None-Match": texts,
        "Accept": st.sampled_from(["", "text/html", "application/vnd.heroku+json; version=3.sdk"]),
        "Request-Id": texts,
        "Heroku-Two-Factor-Code": texts,
        "Accept-Encoding": st.sampled_from(["gzip", "gzip;q=0", "br"]),
    },
)


def try_all(client: Client, operations: Iterator[tuple[str, str, st.SearchStrategy[Any]]]) -> int:
    """The number of operations. Failures are told together, each once."""
    failures: dict[str, str] = {}
    count = 0
    for method, path, bodies in operations:
        key = f"{method} {path}"
        if key not in LEFT_OUT:
            count += 1
            failure = try_one(client, method, path, bodies)
            if failure:
                failures[key] = failure
    assert not failures, "\n".join(f"{key}: {told}" for key, told in failures.items())
    return count


def try_one(client: Client, method: str, path: str, bodies: st.SearchStrategy[Any]) -> str:
    """What went wrong first, if anything did."""
    failures: list[str] = []

    @settings(
        max_examples=EXAMPLES * (1 if method == "GET" else 2),
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(path=filled(path), body=bodies, headers=headers)
    def attempt(path: str, body: Any, headers: dict[str, str]) -> None:
        content = None if body is None else json.dumps(body).encode()
        sent = {name: value.encode() for name, value in headers.items() if value.isprintable()}
        sent["Authorization"] = f"Bearer {client.token}".encode()
        request: Any = client.http.request
        answer = request(method, path, content=content, headers=sent, follow_redirects=False)
        told = f"{answer.status_code} {answer.text[:300]} after {path} {content!r} {headers}"
        page = answer.headers.get("content-type", "").startswith("text/html")  # for browsers
        error = answer.json() if answer.status_code >= 400 and not page else {"id": "none", "message": "none"}
        if answer.status_code == 500 or not (error.get("id") and error.get("message")):
            failures.append(told)

    with capture_logs():
        attempt()
    return failures[0] if failures else ""


@pytest.fixture
def tireless(everyone: People, app: App, release: Release, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The owner of `shop`, who may ask as often as he likes."""
    monkeypatch.setenv("HTTPS_PROXY", "")
    return everyone.ann


def test_our_own_operations(tireless: Client) -> None:
    assert try_all(tireless, ours(tireless)) > 200


def test_what_heroku_s_schema_allows(tireless: Client, heroku_schema: HerokuSchema) -> None:
    heroku_schema.require()
    assert try_all(tireless, herokus(heroku_schema)) > 80
