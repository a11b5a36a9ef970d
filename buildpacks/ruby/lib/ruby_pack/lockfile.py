"""What a Gemfile.lock says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pack.steps import BuildFailed

_SPEC = re.compile(r"    ([^\s(!]+) \(([^)]+)\)")
_NEEDS = re.compile(r"      ([^\s(!]+)(?: \(([^)]+)\))?")
_RUBY = re.compile(r"ruby (\d+\.\d+\.\d+)(?:p\d+)?[.-]?([a-z]\w*)?( \(.+\))?")
_VARIANT = re.compile(r"(?P<version>[^-]+)(?:-(?P<platform>.+))?")


@dataclass(frozen=True)
class Gem:
    """platform: `ruby` for source, else that of a compiled variant. needs: name → requirement, may be empty.

    source: `gem`, `git` or `path`.
    """

    name: str
    version: str
    platform: str = "ruby"
    source: str = "gem"
    needs: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """As RubyGems names its file and its directory: `nokogiri-1.18.2-x86_64-linux`."""
        return f"{self.name}-{self.version}" + ("" if self.platform == "ruby" else f"-{self.platform}")

    def is_among(self, files: Iterable[str]) -> bool:
        """Whether one of the files of vendor/cache is this version of the gem."""
        stem = f"{self.name}-{self.version}"
        return any(file == f"{stem}.gem" or file.startswith(f"{stem}-") for file in files)


@dataclass(frozen=True)
class Lock:
    """remotes: addresses of gem indexes. ruby, bundler: versions, or empty. gems: every variant."""

    gems: tuple[Gem, ...]
    remotes: tuple[str, ...]
    platforms: tuple[str, ...]
    ruby: str
    engine: str
    bundler: str

    def version(self, name: str) -> str:
        """That of a gem, empty where the app does not use it."""
        return next((gem.version for gem in self.gems if gem.name == name), "")

    def has(self, *names: str) -> bool:
        return any(gem.name in names for gem in self.gems)

    def closure(self, names: Iterable[str]) -> list[Gem]:
        """These gems and all that they need, with every variant, sorted by name."""
        waiting, found = list(names), set()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(need for gem in self.gems if gem.name == name for need in gem.needs)
        return sorted((gem for gem in self.gems if gem.name in found), key=lambda gem: (gem.name, gem.platform))


def load(build_dir: Path) -> Lock:
    """The Gemfile.lock of an app. Raises BuildFailed where there is none, or it is in conflict."""
    path = build_dir / "Gemfile.lock"
    if not path.is_file():
        raise BuildFailed(
            "There is no Gemfile.lock beside the Gemfile, so it is not known which versions of the gems the app uses.\n"
            "Run 'bundle install', commit Gemfile.lock, and see that .gitignore and .slugignore do not name it."
        )
    text = path.read_text(errors="replace")
    if re.search(r"^(<<<<<<<|>>>>>>>|=======)", text, re.M):
        raise BuildFailed("Gemfile.lock contains marks of a merge conflict.\nRun 'bundle lock' and commit the result.")
    return parse(text)


def parse(text: str) -> Lock:
    sections: dict[str, list[str]] = {}
    gems: list[Gem] = []
    remotes: list[str] = []
    section = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if line and not line.startswith(" "):
            section = line.strip()
        elif section in ("GEM", "GIT", "PATH"):
            if line.startswith("  remote: ") and section == "GEM":
                remotes.append(line.removeprefix("  remote: ").strip())
            elif spec := _SPEC.fullmatch(line):
                variant = _VARIANT.fullmatch(spec[2])
                assert variant
                gems.append(Gem(spec[1], variant["version"], variant["platform"] or "ruby", section.lower()))
            elif (needs := _NEEDS.fullmatch(line)) and gems:
                gems[-1].needs[needs[1]] = needs[2] or ""
        elif line.strip():
            sections.setdefault(section, []).append(line.strip())
    ruby = _RUBY.fullmatch(" ".join(sections.get("RUBY VERSION", [])))
    return Lock(
        gems=tuple(gems),
        remotes=tuple(dict.fromkeys(remotes)),
        platforms=tuple(sections.get("PLATFORMS", [])),
        ruby="-".join(filter(None, ruby.group(1, 2))) if ruby else "",
        engine=(ruby[3] or "").strip(" ()") if ruby else "",
        bundler=next(iter(sections.get("BUNDLED WITH", [])), ""),
    )


def check_platform(lock: Lock, machine: str) -> None:
    """Raises BuildFailed where bundler would not install on Linux. machine: as uname says, `x86_64`."""
    machine = {"arm64": "aarch64"}.get(machine, machine)
    fitting = ("ruby", f"{machine}-linux", f"{machine}-linux-gnu")
    if lock.platforms and not any(platform in fitting for platform in lock.platforms):
        raise BuildFailed(
            f"Gemfile.lock was made for {', '.join(lock.platforms)} only; apps run on {machine}-linux here.\n"
            f"Add this platform and commit the result: bundle lock --add-platform {machine}-linux"
        )
