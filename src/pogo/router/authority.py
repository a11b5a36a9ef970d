"""A public authority that gives certificates, as `loops.acme` needs it. Everything here blocks: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pogo.errors import PogoError
from pogo.rules.acme import Challenge, Kind


class Trouble(PogoError):
    """The authority does not answer."""


class Limited(Trouble):
    """The authority asks us to wait."""


class AccountLost(Trouble):
    """The authority does not know our account."""


class Refused(PogoError):
    """The authority refuses."""


@dataclass(frozen=True)
class Progress:
    """status: of RFC 8555, 7.1.6. unanswered: URLs of challenges that wait for our word. reason: why it is invalid."""

    status: str
    unanswered: tuple[str, ...] = ()
    reason: str = ""
    certificate: str | None = None


class Session(Protocol):
    """What one account does at its authority. All raise Trouble and Refused."""

    def order(self, names: Sequence[str], kind: Kind) -> tuple[str, list[Challenge]]:
        """URL of a new order, and what has to be there before the authority is told to look."""
        ...

    def look(self, url: str) -> Progress:
        """How far an order is. Refused: the authority does not know it (any more)."""
        ...

    def answer(self, challenge: Challenge) -> None:
        """Tell the authority that it may look."""
        ...

    def finalize(self, url: str, key: str, names: Sequence[str]) -> None:
        """Ask for the certificate of an order whose names are proven. key: PEM, of the certificate."""
        ...

    def chain(self, url: str) -> str:
        """The certificate with its chain, PEM."""
        ...


class Authority(Protocol):
    """directory: its URL, which names it."""

    @property
    def directory(self) -> str: ...

    def connect(self, key: str, url: str | None) -> tuple[Session, str]:
        """A session of the account with this key (PEM), which is registered if it has no URL yet; and its URL."""
        ...
