"""The passes of builds: what pogod issues is taken, and nothing else."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import build_passes
from pogo.rules.build_passes import Visitor

KEY = b"k" * 32
NOW = 1_800_000_000
BUILD = Visitor("my-app", "01234567-89ab-cdef-0123-456789abcdef")


def header(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def test_a_pass_tells_app_and_build() -> None:
    credentials = build_passes.issue(KEY, BUILD, NOW + 60)
    assert build_passes.check(KEY, header(credentials), NOW) == BUILD
    assert build_passes.check(KEY, header(credentials).replace("Basic", "basic"), NOW) == BUILD


def test_it_ends_and_belongs_to_one_key() -> None:
    credentials = build_passes.issue(KEY, BUILD, NOW + 60)
    assert build_passes.check(KEY, header(credentials), NOW + 61) is None
    assert build_passes.check(b"another", header(credentials), NOW) is None


@given(st.data())
def test_a_changed_pass_is_none(data: st.DataObject) -> None:
    credentials = build_passes.issue(KEY, BUILD, NOW + 60)
    place = data.draw(st.integers(0, len(credentials) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdef.:-Z"))
    changed = credentials[:place] + letter + credentials[place + 1 :]
    if changed != credentials:
        assert build_passes.check(KEY, header(changed), NOW) is None


@given(st.text(max_size=60))
def test_nothing_else_is_a_pass(text: str) -> None:
    assert build_passes.check(KEY, text, NOW) is None
    assert build_passes.check(KEY, header(text), NOW) is None


@pytest.mark.parametrize("credentials", ["", ":", "a:b", ".:1.2", "a.b:", "a.b:zz.ff", "é.b:1.2"])
def test_what_is_malformed_is_none(credentials: str) -> None:
    assert build_passes.check(KEY, header(credentials), NOW) is None


def test_the_variables_hold_the_pass_as_it_is() -> None:
    credentials = build_passes.issue(KEY, BUILD, NOW + 60)
    found = build_passes.variables("169.254.1.1", 5080, credentials)
    url = urlsplit(found["https_proxy"])
    assert (url.hostname, url.port, f"{url.username}:{url.password}") == ("169.254.1.1", 5080, credentials)
    assert found["HTTP_PROXY"] == found["HTTPS_PROXY"] == found["http_proxy"] == found["https_proxy"]
