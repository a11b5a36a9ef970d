"""Buildpacks brought into the build: the platform's own, from git, or as an archive.

What came over the network is kept for the app's next build, which then only asks the server whether
it has something newer. When the server does not answer, the kept copy is used, and that is said.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pogo.build.failures import AppFault, DiskFull, PlatformFault, disk_is_full
from pogo.build.output import detail, warning
from pogo.build.source import examine, extract
from pogo.rules import buildpacks
from pogo.rules.buildpacks import Archive, Bundled, Git, Registry

PATIENCE = 300
PATIENCE_WITH_COPY = 60
"""Seconds for a server to give a pack, without and with a copy of it at hand."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_WANTED = "refs/pogo/wanted"
_NOT_BY_NAME = re.compile(rb"remote ref|not our ref|unadvertised object")
_LAST_LINES = 6


@dataclass(frozen=True)
class Pack:
    """given: as the user wrote it. root: a fresh, writable copy of its files."""

    given: str
    root: Path

    @property
    def name(self) -> str:
        return buildpacks.display_name(self.given)

    @property
    def export(self) -> Path:
        """Shell script that a pack may write to change the environment of the packs after it."""
        return self.root / "export"


@dataclass(frozen=True)
class Shelf:
    """Where packs come from. bundled: directory of the platform's own. kept: of copies; used: those of this build."""

    registry: Registry
    bundled: Path
    kept: Path
    env: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def fetch(self, given: str, root: Path) -> Pack:
        """Bring a pack to the new directory `root`. Raises AppFault (unknown, unreachable, not a pack)."""
        try:
            source = self.registry.resolve(given)
        except buildpacks.UnknownBuildpack as error:
            raise AppFault(str(error)) from error
        root.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Bundled):
            if not (self.bundled / source.directory).is_dir():
                raise PlatformFault(f"The platform's own buildpack {given!r} is not installed here.")
            shutil.copytree(self.bundled / source.directory, root)  # links lead to what packs share
        elif isinstance(source, Git):
            self._from_git(given, source, root)
        else:
            self._from_archive(given, source, root)
        for name in ("detect", "compile"):
            if not (root / "bin" / name).is_file():
                raise AppFault(
                    f"{given} is not a buildpack: it has no bin/{name}.",
                    "A classic buildpack has bin/detect and bin/compile; check its address, branch and documentation.",
                )
        for script in (root / "bin").iterdir():
            if script.is_file():
                script.chmod(script.stat().st_mode | 0o755)
        return Pack(given, root)

    def tidy(self) -> None:
        """Forget the copies that this build did not use."""
        for path in self.kept.iterdir() if self.kept.is_dir() else ():
            if path.name.partition(".")[0] not in self.used:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _copy(self, text: str) -> Path:
        name = hashlib.sha256(text.encode()).hexdigest()[:20]
        self.used.add(name)
        self.kept.mkdir(parents=True, exist_ok=True)
        return self.kept / name

    def _from_git(self, given: str, source: Git, root: Path) -> None:
        copy = self._copy(f"{source.url}#{source.ref}")
        git = GitRepository(copy, self.registry.mirrors, self.env)
        had = git.wanted()
        if had is None:
            shutil.rmtree(copy, ignore_errors=True)
            git.begin()
        if had is None or had != source.ref:
            self._ask(given, source, git, had)
        why = git.check_out()
        if why and had:  # the copy is damaged
            shutil.rmtree(copy)
            return self._from_git(given, source, root)
        if why:
            raise _unreachable(given, source.url, why, copy)
        shutil.copytree(copy, root, symlinks=True)

    def _ask(self, given: str, source: Git, git: GitRepository, had: str | None) -> None:
        """Bring the copy up to date; where the server does not answer, be content with what is there."""
        why = git.update(source.url, source.ref, PATIENCE_WITH_COPY if had else PATIENCE)
        if not why:
            return
        if had is None or why.startswith(NO_SUCH_REF):
            shutil.rmtree(git.directory)
            raise _unreachable(given, source.url, why, self.kept)
        _say_kept(given, why)

    def _from_archive(self, given: str, source: Archive, root: Path) -> None:
        copy = self._copy(source.url).with_suffix(".tgz")
        url = self.registry.mirrored(source.url)
        tag, new = copy.with_suffix(".etag"), copy.with_suffix(".new")
        had = copy.is_file()
        patience = PATIENCE_WITH_COPY if had else PATIENCE
        command = ["curl", "-fsSL", "--connect-timeout", "20", "--max-time", str(patience), "-o", str(new)]
        known = ["--etag-compare", str(tag)] if had and tag.is_file() else []
        command += [*known, "--etag-save", str(copy.with_suffix(".newtag")), "-w", "%{http_code}", url]
        done = subprocess.run(command, capture_output=True, check=False, env=dict(self.env))
        if done.returncode:
            why = done.stderr.decode(errors="replace")
            if not had:
                raise _unreachable(given, url, why, self.kept)
            _say_kept(given, why)
        elif done.stdout.strip() != b"304":
            new.replace(copy)
            copy.with_suffix(".newtag").replace(tag)
        for rest in (new, copy.with_suffix(".newtag")):
            rest.unlink(missing_ok=True)
        try:
            examine(copy, what=f"buildpack {given}")
        except AppFault:
            copy.unlink()
            raise
        extract(copy, root, what="buildpack")


NO_SUCH_REF = "It has no branch, tag or commit"


@dataclass(frozen=True)
class GitRepository:
    """A small clone that is used again. mirrors: prefix → URL, also for the submodules of what is fetched."""

    directory: Path
    mirrors: Mapping[str, str]
    env: Mapping[str, str]

    def begin(self) -> None:
        self.directory.mkdir(parents=True)
        self.run("init", "--quiet")

    def wanted(self) -> str | None:
        """The commit that was fetched last; None where there is no whole copy."""
        if not (self.directory / ".git").is_dir():
            return None
        done = self.run("rev-parse", "--verify", "--quiet", f"{_WANTED}^{{commit}}")
        return done.stdout.decode().strip() if not done.returncode else None

    def update(self, url: str, ref: str, patience: float) -> str:
        """Fetch only the wanted commit where the server gives it by name; else everything, for an
        abbreviated id. Returns why it failed, empty for success."""
        done = self.run("fetch", "--quiet", "--force", "--depth=1", url, ref or "HEAD", patience=patience)
        names = ["FETCH_HEAD"]
        if done.returncode and ref and _NOT_BY_NAME.search(done.stderr):
            everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
            done = self.run("fetch", "--quiet", "--force", url, *everything, patience=patience)
            names = [f"origin/{ref}", ref]
        if done.returncode:
            return done.stderr.decode(errors="replace")
        for name in names:
            if not self.run("update-ref", _WANTED, f"{name}^{{commit}}").returncode:
                return ""
        return f"{NO_SUCH_REF} {ref!r}."

    def check_out(self, *, submodules: bool = True) -> str:
        """The files of the wanted commit, with submodules, and nothing else. Why it failed, or empty."""
        steps = [
            ("checkout", "--quiet", "--force", "--detach", _WANTED),
            ("clean", "-ffdxq"),
        ]
        for step in steps:
            if (done := self.run(*step)).returncode:
                return done.stderr.decode(errors="replace") or f"git {step[0]} failed"
        if submodules and (self.directory / ".gitmodules").is_file():
            done = self.run("submodule", "update", "--quiet", "--init", "--recursive", "--force", "--depth=1")
            return done.stderr.decode(errors="replace") if done.returncode else ""
        return ""

    def run(self, *arguments: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[bytes]:
        """Git, with no question asked and mirrors applied; a server that is too slow is a failure like others."""
        quiet = {**self.env, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=20"}
        command = ["git", "-C", str(self.directory), *arguments]
        try:
            return subprocess.run(
                command,
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=patience,
                env={**quiet, **git_settings(self.mirrors)},
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, b"", f"No answer within {patience:.0f} s.\n".encode())


def git_settings(mirrors: Mapping[str, str]) -> dict[str, str]:
    """Settings for git in its environment, which reaches the git of submodules too."""
    settings = [
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "30"),
        ("advice.detachedHead", "false"),
        ("protocol.file.allow", "always"),  # a container has no other files than this build's
        *((f"url.{url}.insteadOf", prefix) for prefix, url in mirrors.items()),
    ]
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def without_login(url: str) -> str:
    """A URL as it may be printed: `https://name:password@host/…` without the name and the password."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def _say_kept(given: str, why: str) -> None:
    warning(f"The buildpack {without_login(given)} cannot be updated: its server does not answer.")
    detail(why.strip().splitlines()[-1] if why.strip() else "No reason was given.")
    detail("The copy from the last build is used.")


def _unreachable(given: str, url: str, why: str, directory: Path) -> AppFault:
    if disk_is_full(directory, why.encode()):
        return DiskFull()
    reason = "\n".join(without_login(line) for line in why.strip().splitlines()[-_LAST_LINES:])
    shown = without_login(given if given.partition("#")[0] == url else f"{given} from {url}")
    return AppFault(f"Could not fetch the buildpack {shown}:\n{reason}", "Check its address, then push again.")
