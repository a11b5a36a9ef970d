"""pogo router: the words of the command line become the API's fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pogo.api.resources.router_settings import Change
from pogo.cli.commands import router_settings
from pogo.cli.errors import CliError
from pogo.rules.router_settings import DEFAULT


class Api:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(body)
        return {**DEFAULT.shown(), **body, "allow": list(body.get("allow") or [])}


@pytest.fixture
def api() -> Api:
    return Api()


def context(api: Api, *words: str) -> Any:
    return SimpleNamespace(api=api, app_path="/apps/shop", shown_app="shop", rest=list(words))


def test_the_settings_are_those_of_the_api_and_of_the_rules() -> None:
    assert set(router_settings.SETTINGS) == set(Change.model_fields) == set(DEFAULT.shown())


def test_set_and_unset(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("idle_timeout=90", "https_only=True", "allow=10.0.0.0/8, 127.0.0.1", "basic_auth=a:b=c")
    router_settings.assign(context(api, *words))
    router_settings.unset(context(api, "basic_auth"))
    assert api.sent == [
        {"idle_timeout": 90, "https_only": True, "allow": ["10.0.0.0/8", "127.0.0.1"], "basic_auth": "a:b=c"},
        {"basic_auth": None},
    ]
    assert "10.0.0.0/8, 127.0.0.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Usage: pogo router:set"),
        (("idle_timeout",), "Must be in the format name=value"),
        (("colour=red",), "There is no router setting colour"),
        (("idle_timeout=x",), "must be a whole number"),
        (("https_only=1",), "must be true or false"),
    ],
)
def test_what_cannot_be_set(api: Api, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(CliError, match=message):
        router_settings.assign(context(api, *words))
    assert api.sent == []
