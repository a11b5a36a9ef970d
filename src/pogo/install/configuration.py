"""The settings of an installation: what bin/up was given is written into the installation's file.

Afterwards everything reads that file alone, so later calls need no more than the installation's name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pogo.agent.installation import parse_setting
from pogo.errors import PogoError
from pogo.settings import Settings

# The longest path below the state directory is the control socket of a container; the kernel allows 107 bytes.
LONGEST_STATE_DIR = 48
# Variables of this prefix that are no settings of an installation: the client's, and the name of the file.
OTHERS = {"POGO_CONFIG", "POGO_API_URL", "POGO_API_KEY", "POGO_CA_FILE", "POGO_APP", "POGO_BUILDPACKS_DIR",
          "POGO_RECOVERY_KEY"}  # fmt: skip
_PLAIN = re.compile(r"[\w./:@,+?=&%*-]*")


class BadSetting(PogoError):
    """A setting cannot be used."""


def setting_names() -> list[str]:
    return [f"POGO_{name.upper()}" for name in Settings.model_fields]


def load(config: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the file and, above them, of the environment. Raises BadSetting."""
    for source, names in ((str(config), _file_settings(config)), ("the environment", environ)):
        for name in names:
            _check_name(name, source)
    try:
        settings = Settings()
    except ValidationError as error:
        found = error.errors()[0]
        name = f"POGO_{str(found['loc'][0]).upper()}"
        raise BadSetting(f"{name}={found['input']!s} is not valid: {found['msg']}. See deploy/pogo.conf.") from None
    state = str(settings.state_dir)
    if len(state) > LONGEST_STATE_DIR or not re.fullmatch(r"/[\w./-]+", state):
        raise BadSetting(
            f"POGO_STATE_DIR={state} cannot be used: sockets lie in it, so it has to be an absolute path of at most"
            f" {LONGEST_STATE_DIR} letters, digits and ./_-"
        )
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise BadSetting("POGO_TLS_CERT and POGO_TLS_KEY go together: the files of a certificate and of its key.")
    if settings.mirror_only and settings.mirror == "off":
        raise BadSetting("POGO_MIRROR_ONLY needs a mirror: POGO_MIRROR=log or POGO_MIRROR=answer.")
    if settings.stack_names and settings.default_stack not in settings.stack_names:
        raise BadSetting(f"POGO_DEFAULT_STACK={settings.default_stack} is not among POGO_STACKS.")
    return settings


def require_folders(settings: Settings) -> None:
    """What bin/up needs and bin/down does without: folders that settings name. Raises BadSetting."""
    if settings.mirror_git and not Path(settings.mirror_git).is_dir():
        raise BadSetting(f"POGO_MIRROR_GIT={settings.mirror_git} is no directory.")


def _check_name(name: str, source: str) -> None:
    known = [*setting_names(), *OTHERS]
    if not name.startswith("POGO_") or name in known:
        return
    near = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]}?" if near else " The settings are listed in deploy/pogo.conf."
    raise BadSetting(f"{name} in {source} is not a setting.{hint}")


def _file_settings(config: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    if config.is_file():
        for row in config.read_text().splitlines():
            found.update(parse_setting(row))
    return found


def recorded(text: str, environ: Mapping[str, str]) -> str:
    """The text of the file with the settings of the environment in it.

    A setting takes the place of its line, also of one that is commented out; others stay as they are,
    comments included. Raises BadSetting for a value that such a file cannot hold.
    """
    present: dict[str, str] = {}
    for row in text.splitlines():
        present.update(parse_setting(row))
    for name in setting_names():
        value = environ.get(name)
        if value is None or present.get(name) == value:
            continue
        if not _PLAIN.fullmatch(value) and ("'" in value or "\n" in value):
            raise BadSetting(f"{name}={value!r} cannot be written to a file: it has a quote or a line break.")
        assignment = f"{name}={value}" if _PLAIN.fullmatch(value) else f"{name}='{value}'"
        places = list(re.finditer(rf"^(#\s?)?{name}=.*$", text, re.MULTILINE))
        place = next((one for one in places if not one[1]), places[0] if places else None)
        if place is None:
            text = f"{text.rstrip()}\n{assignment}\n"
            continue
        text = text[: place.start()] + assignment + text[place.end() :]
    return text


def defaults() -> dict[str, str]:
    """Every setting with its default, as the reference file writes it."""
    return {f"POGO_{name.upper()}": str(field.default) for name, field in Settings.model_fields.items()}
