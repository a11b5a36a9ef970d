"""The operator's sizes of dynos."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from pogo.errors import InvalidParams
from pogo.rules import sizes
from pogo.rules.sizes import MB, Size
from pogo.settings import Settings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    sizes.offer(())


def test_sizes_are_read() -> None:
    assert sizes.parse_sizes("") == []
    assert sizes.parse_sizes("tiny:256:128:64, Half-CPU:512:256:256:50,") == [
        Size("tiny", 256 * MB, 128, 64),
        Size("Half-CPU", 512 * MB, 256, 256, 50),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tiny", "not of the form name:MB:weight:processes"),
        ("tiny:256:128", "not of the form"),
        ("tiny:256:128:64:50:9", "not of the form"),
        ("ti ny:256:128:64", "no name of a size"),
        ("1x:256:128:64", "no name of a size"),
        ("tiny:1.5:128:64", "the memory of tiny has to be a number from 16 to"),
        ("tiny:8:128:64", "the memory of tiny"),
        ("tiny:256:1:64", "the weight of CPU of tiny has to be a number from 2 to"),
        ("tiny:256:128:0", "the number of processes of tiny"),
        ("tiny:256:128:64:0", "the limit of CPU of tiny"),
        ("tiny:256:128:64,TINY:1:2:3", "the size TINY is there twice"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        sizes.parse_sizes(text)
    with pytest.raises(ValidationError, match=why):
        Settings(sizes=text)


def test_own_sizes_stand_beside_herokus_and_win() -> None:
    sizes.offer(sizes.parse_sizes("tiny:256:128:64,Standard-2X:2048:512:512"))
    assert sizes.find_size("TINY").memory == 256 * MB
    assert sizes.find_size("standard-2x").memory == 2048 * MB
    assert sizes.find_size("eco").most_memory == 1024 * MB
    with pytest.raises(InvalidParams, match="Performance-L, tiny"):
        sizes.find_size("huge")
    sizes.offer(())
    with pytest.raises(InvalidParams):
        sizes.find_size("tiny")
