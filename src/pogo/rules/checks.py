"""How an app's web dynos are checked: when one may get requests (ready), and whether it still answers (live). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pogo.errors import InvalidParams

LONGEST_PATH = 500
# name → least and most: seconds, seconds, how many in a row
BOUNDS = {"live_period": (1, 3600), "live_timeout": (0.1, 60), "live_failures": (1, 100)}
_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True)
class Checks:
    """An app's settings. A path is that of a GET which 2xx or 3xx answers well; "" for none.

    ready_path: without one, a web dyno is ready as soon as its port answers. live_path: without one, a dyno that
    runs is let be. live_period: seconds from one check to the next; live_failures: in a row, until it is replaced.
    """

    ready_path: str = ""
    live_path: str = ""
    live_period: float = 10
    live_timeout: float = 5
    live_failures: int = 3

    def kept(self) -> dict[str, Any]:
        """What is stored: the settings that differ from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != getattr(DEFAULT, name)}


DEFAULT = Checks()


def stored(values: Mapping[str, Any]) -> Checks:
    """The settings from what is stored; what this version does not know is left out."""
    known = {field.name for field in fields(Checks)}
    return Checks(**{name: value for name, value in values.items() if name in known}) if values else DEFAULT


def change(checks: Checks, changes: Mapping[str, Any]) -> Checks:
    """The settings with some changed; None: back to the default. InvalidParams: a value that cannot be."""
    wanted = {name: getattr(DEFAULT, name) if value is None else value for name, value in changes.items()}
    for name in ("ready_path", "live_path"):
        if name in wanted:
            _check_path(name, wanted[name])
    for name, (least, most) in BOUNDS.items():
        if name in wanted and not least <= wanted[name] <= most:
            raise InvalidParams(f"{name} must be from {least} to {most}, not {wanted[name]:g}.")
    changed = Checks(**{**asdict(checks), **wanted})
    if changed.live_timeout > changed.live_period:
        raise InvalidParams(
            f"live_timeout ({changed.live_timeout:g} s) must not be longer than live_period "
            f"({changed.live_period:g} s): a check ends before the next one begins."
        )
    return changed


def _check_path(name: str, path: str) -> None:
    if not path:
        return
    if not _PATH.fullmatch(path):
        raise InvalidParams(
            f"{name} must be a path such as /health, with / first and without blanks or other than ASCII characters; "
            f"{path!r} is none."
        )
    if len(path) > LONGEST_PATH:
        raise InvalidParams(f"{name} must not be longer than {LONGEST_PATH} characters.")


def fault(path: str, status: int) -> str:
    """What is wrong with this answer to a check, "" if nothing."""
    return "" if 200 <= status < 400 else f"GET {path} answered {status}"


def failed(reason: str, failures: int, most: int) -> str:
    """The line in the app's log. failures: in a row."""
    return f"Liveness check failed ({failures} of {most}): {reason}"


def passed(failures: int) -> str:
    return f"Liveness check passed after {failures} failure{'s' * (failures > 1)}"


def replaced(reason: str, failures: int) -> str:
    """Why a dyno was replaced: in the log, and in `ps` beside its successor."""
    return f"liveness check failed {failures} time{'s' * (failures > 1)} in a row: {reason}"
