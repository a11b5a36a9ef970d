"""What the agent knows of its installation, from the same variables and file as `pogo.settings`.

The agent runs as root on the standard library alone, so it reads them itself and only those it needs.
"""

from __future__ import annotations

import hashlib
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path

from pogo.errors import PogoError

DEFAULT_CONFIG = "/etc/pogo/pogo.conf"
UIDS_PER_APP = 65536
TRUE = ("1", "true", "t", "yes", "y", "on")  # as pydantic reads them
LONGEST_STATE = 107 - len("/run/c/.new-") - 40 - len("/sock")


class BadConfiguration(PogoError):
    """The configuration of pogo-agent cannot be used."""


def tag(state: Path) -> str:
    """As `Settings.tag`: six hex digits in the names of interfaces, the nftables table and cgroups."""
    return hashlib.sha256(str(state).encode()).hexdigest()[:6]


def cgroup(state: Path) -> str:
    """The control group of an installation, below each hierarchy."""
    return f"pogo-{tag(state)}"


@dataclass(frozen=True)
class Installation:
    """uid, gid: of the user that may call the agent. Everything the agent makes bears `tag` or lies in `state`.

    mirror_port: of the proxy of builds, 0 for none. mirror_only: builds reach nothing else. mirror_answers: builds
    trust the mirror's authority. images: `mounted`, `unpacked`, or `auto` for what the kernel can do.
    """

    state: Path
    subnet: IPv4Network
    uid_base: int
    max_apps: int
    uid: int
    gid: int
    package: Path
    buildpacks: Path
    mirror_port: int = 0
    mirror_only: bool = False
    mirror_answers: bool = False
    images: str = "auto"

    @property
    def tag(self) -> str:
        return tag(self.state)

    @cached_property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def socket(self) -> Path:
        return self.run / "agent.sock"

    @cached_property
    def records(self) -> Path:
        """One directory per container that was started and not removed."""
        return self.run / "c"

    @property
    def scratch(self) -> Path:
        """One directory per container: its writable layer."""
        return self.state / "scratch"

    @property
    def unpacked(self) -> Path:
        """Images as directories, where the kernel cannot map the owners of images: see `images`."""
        return self.state / "unpacked"

    @property
    def cgroup(self) -> str:
        return cgroup(self.state)

    def base(self, slot: int) -> int:
        """The host's uid (and gid) that is root inside the containers of this slot."""
        return self.uid_base + slot * UIDS_PER_APP

    def address(self, number: int) -> str:
        return str(self.subnet[number])

    def interface(self, number: int, *, builder: bool = False) -> str:
        """The host's end of the link of the container with address `number`; at most 15 characters.

        Those of builds have names of their own, by which the network's rules know them.
        """
        return f"pg{self.tag}b{number:x}" if builder else f"pg{self.tag}{number}"

    @property
    def authority(self) -> Path:
        """Of the mirror: the certificate `ca.pem`, also under the name that OpenSSL looks for, `<hash>.0`."""
        return self.state / "tls" / "mirror"


def read_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The POGO_ variables of the environment over those of the file that POGO_CONFIG names."""
    found: dict[str, str] = {}
    path = Path(environ.get("POGO_CONFIG", DEFAULT_CONFIG))
    if path.is_file():
        for line in path.read_text().splitlines():
            found.update(parse_setting(line))
    found.update({key: value for key, value in environ.items() if key.startswith("POGO_")})
    return found


def parse_setting(line: str) -> dict[str, str]:
    """`KEY=VALUE`, also quoted, exported or followed by ` # comment`; {} for any other line."""
    match = re.fullmatch(r"""\s*(?:export\s+)?(POGO_\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(.*?))(?:\s+#.*|\s*)""", line)
    if match is None:
        return {}
    return {match[1]: next((group for group in match.groups()[1:] if group is not None), "")}


def load(environ: Mapping[str, str]) -> Installation:
    """Raises BadConfiguration where a value cannot be used."""
    values = read_settings(environ)
    state = Path(values.get("POGO_STATE_DIR", "/var/lib/pogo"))
    user = values.get("POGO_USER", "pogo")
    if not state.is_absolute():
        raise BadConfiguration(f"POGO_STATE_DIR has to be an absolute path, not {str(state)!r}.")
    if len(str(state)) > LONGEST_STATE:
        raise BadConfiguration(f"POGO_STATE_DIR is longer than {LONGEST_STATE} characters; socket paths would not fit.")
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise BadConfiguration(f"POGO_USER names the user {user!r}, which does not exist. Create it first.") from None
    try:
        subnet = IPv4Network(values.get("POGO_SUBNET", "10.83.0.0/16"))
        uid_base = int(values.get("POGO_UID_BASE", "1000000000"))
        max_apps = int(values.get("POGO_MAX_APPS", "1000"))
        mirror_port = int(values.get("POGO_MIRROR_PORT", "5080"))
    except ValueError as error:
        raise BadConfiguration(f"POGO_SUBNET, POGO_UID_BASE, POGO_MAX_APPS or POGO_MIRROR_PORT: {error}.") from None
    if not 10 <= subnet.prefixlen <= 29:
        raise BadConfiguration(f"POGO_SUBNET is {subnet}; its prefix length has to be from 10 to 29.")
    if uid_base < UIDS_PER_APP or uid_base + (max_apps + 1) * UIDS_PER_APP > 2**32 - 2:
        raise BadConfiguration(f"POGO_UID_BASE {uid_base} leaves no room for {max_apps} apps of 65536 uids each.")
    package = Path(__file__).resolve().parent.parent
    beside = package.parent.parent / "buildpacks"
    buildpacks = values.get("POGO_BUILDPACKS_DIR") or (beside if beside.is_dir() else state / "buildpacks")
    mirror = values.get("POGO_MIRROR", "off")
    images = values.get("POGO_IMAGES", "auto")
    if images not in ("auto", "mounted", "unpacked"):
        raise BadConfiguration(f"POGO_IMAGES has to be auto, mounted or unpacked, not {images!r}.")
    port, owner = mirror_port if mirror != "off" else 0, (account.pw_uid, account.pw_gid)
    only = mirror != "off" and values.get("POGO_MIRROR_ONLY", "").lower() in TRUE
    answers, packs = mirror == "answer", Path(buildpacks)
    return Installation(state, subnet, uid_base, max_apps, *owner, package, packs, port, only, answers, images)
