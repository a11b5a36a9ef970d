"""Names that users choose, and the sentences that refuse them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import idna

from pogo.errors import InvalidParams

APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
PROCESS_TYPE = re.compile(r"[-\w]{1,128}", re.ASCII)
HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
CONFIG_KEY = re.compile(r"[^=\x00\s]{1,256}")
RESERVED = frozenset({"api", "git", "dashboard", "www", "localhost", "registry", "status"})

ADJECTIVES = "amber brave calm clear deep early fair gentle keen lively mellow noble plain quiet rapid sunny tidy warm"
NOUNS = "bay brook cedar cliff dune fern field grove harbor hill lake meadow mesa oak peak reef ridge river shore stone"


def check_own_name(name: str, of: str, reserved: Iterable[str] = ()) -> None:
    """Of what users name besides apps. of: "team", "pipeline". Raises InvalidParams."""
    if not APP_NAME.fullmatch(name) or name in reserved:
        but = f" (and none of {', '.join(sorted(reserved))})" if reserved else ""
        rule = "3 to 30 small letters, digits and dashes, a letter first"
        raise InvalidParams(f"Name {name!r} of a {of} is not valid: {rule}{but}.")


def check_app_name(name: str) -> str:
    """The name, if Heroku's rule for app names allows it; else InvalidParams."""
    if not APP_NAME.fullmatch(name):
        raise InvalidParams(
            "Name must start with a letter, end with a letter or digit and can only contain "
            "lowercase letters, digits, and dashes (3 to 30 characters)."
        )
    if name in RESERVED:
        raise InvalidParams(f"Name {name} is reserved for the platform. Choose another one.")
    return name


def generated_name(numbers: Iterable[int]) -> str:
    """A friendly app name such as `calm-river-04217` from three random numbers."""
    first, second, third = numbers
    adjectives, nouns = ADJECTIVES.split(), NOUNS.split()
    return f"{adjectives[first % len(adjectives)]}-{nouns[second % len(nouns)]}-{third % 100_000:05d}"


def check_hostname(hostname: str, platform_domain: str) -> str:
    """A custom domain in its canonical form: lower case, punycode, no trailing dot; `*.` may lead.

    Raises InvalidParams for what is no domain name, for names below the platform's own domain, and for wildcards that
    would cover it.
    """
    name = canonical_hostname(hostname)
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or len(labels) < 2 or not all(HOST_LABEL.fullmatch(label) for label in labels):
        raise InvalidParams(f"Domain {hostname} is not a fully qualified domain name, such as www.example.com.")
    if name == platform_domain or name.endswith("." + platform_domain):
        raise InvalidParams(f"Domain {name} belongs to the platform. Rename the app to change its own domain.")
    if name.startswith("*.") and platform_domain.endswith(name[1:]):
        raise InvalidParams(f"Domain {name} would cover the platform's own domain, {platform_domain}.")
    return name


def canonical_hostname(hostname: str) -> str:
    """Lower case, punycode (IDNA 2008, as browsers ask for it), no trailing dot. InvalidParams: that cannot be."""
    name = hostname.strip().lower().rstrip(".")
    if name.isascii():
        return name
    wildcard = "*." if name.startswith("*.") else ""
    try:
        return wildcard + idna.encode(name.removeprefix("*."), uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidParams(f"Domain {hostname} is not a valid host name: {error}.") from None


def claims_refuse(hostname: str, other: str) -> bool:
    """Whether a domain may not be added because somebody else has this other one.

    A wildcard and a name that it covers belong to one owner, whichever of them came first (Heroku: Custom Domains).
    """
    return hostname == other or _covers(hostname, other) or _covers(other, hostname)


def _covers(wildcard: str, hostname: str) -> bool:
    return wildcard.startswith("*.") and hostname.removeprefix("*.").endswith(wildcard[1:])


def check_config(changes: dict[str, object]) -> dict[str, str | None]:
    """Config var changes: text sets, None removes. InvalidParams names the key that is wrong.

    Bounds: 256 characters a key, 32 KB a value (it has to fit the environment of a process).
    """
    checked: dict[str, str | None] = {}
    for key, value in changes.items():
        if not CONFIG_KEY.fullmatch(key):
            raise InvalidParams(f"Config var name {key!r} is not valid: no blanks and no '=', 1 to 256 characters.")
        if value is not None and not isinstance(value, str):
            raise InvalidParams(f"Config var {key} must be a string or null.")
        if value is not None and ("\x00" in value or len(value.encode()) > 32_768):
            raise InvalidParams(f"Config var {key} is not valid: at most 32 KB and no NUL character.")
        checked[key] = value
    return checked


def acceptable(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that could be set as config vars."""
    found = {}
    for key, value in variables.items():
        try:
            check_config({key: value})
        except InvalidParams:
            continue
        found[key] = value
    return found


def config_description(changes: dict[str, str | None]) -> str:
    """Heroku's description of the release that a config change makes: `Set A, B config vars`."""
    parts = []
    for verb, keys in (
        ("Set", [k for k, v in changes.items() if v is not None]),
        ("Remove", [k for k, v in changes.items() if v is None]),
    ):
        if keys:
            parts.append(f"{verb} {', '.join(keys)} config vars")
    return " and ".join([parts[0], *(p[0].lower() + p[1:] for p in parts[1:])])
