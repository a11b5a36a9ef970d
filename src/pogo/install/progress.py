"""What the operator sees while a stage works."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
SIGN_OF_LIFE = 15.0


def line(text: str = "") -> None:
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[Say]:
    """Show a stage with its seconds: rewritten in place on a terminal, else a line now and then.

    The stage may `say` what it is doing; the last word stays beside the title.
    """
    shown = _Shown(title)
    ticker = threading.Thread(target=shown.tick, daemon=True)
    ticker.start()
    try:
        yield shown.say
    finally:
        shown.ended.set()
        ticker.join()
    shown.close()


class _Shown:
    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.live = sys.stdout.isatty()

    def _text(self) -> str:
        seconds = time.monotonic() - self.began
        amount = f"{seconds:4.0f} s" if seconds >= 0.5 else "      "
        return f"  {self.title:<22}{amount}  {self.detail}".rstrip()

    def say(self, detail: str) -> None:
        self.detail = detail
        if self.live:
            self._rewrite()
        else:
            line(self._text())

    def tick(self) -> None:
        while not self.ended.wait(0.5 if self.live else SIGN_OF_LIFE):
            if self.live:
                self._rewrite()
            else:
                line(f"{self._text()} …")

    def _rewrite(self, end: str = "") -> None:
        sys.stdout.write(f"\r\x1b[K{self._text()[:110]}{end}")
        sys.stdout.flush()

    def close(self) -> None:
        if self.live:
            self._rewrite("\n")
        elif not self.detail:
            line(self._text())
