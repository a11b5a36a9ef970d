"""The Ruby that runs the app: the stack's own, or one from Heroku's usual address inside the slug."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, topic, warning

from ruby_pack import version
from ruby_pack.version import Wanted

VENDOR_URL = "https://heroku-buildpack-ruby.s3.dualstack.us-east-1.amazonaws.com"
STACK_RUBY = Path("/usr/bin/ruby")
_ASK = "print RUBY_VERSION, ' ', File.exist?(File.join(RbConfig::CONFIG['rubyhdrdir'], 'ruby.h'))"


@dataclass(frozen=True)
class Ruby:
    """version: in full. directory: relative to the app, `vendor/ruby-3.4.2`; empty for the stack's own."""

    version: str
    directory: str = ""

    @property
    def own(self) -> bool:
        """Whether it is the stack's."""
        return not self.directory

    @property
    def gems(self) -> str:
        """Where bundler keeps gems for it, relative to the app."""
        return f"vendor/bundle/ruby/{version.series(self.version)}.0"

    def program(self, build_dir: Path) -> Path:
        return build_dir / self.directory / "bin/ruby" if self.directory else STACK_RUBY


def of_stack() -> str:
    """Version of the stack's Ruby; empty where there is none, or none that gems can be compiled for."""
    if not STACK_RUBY.is_file():
        return ""
    said = subprocess.run([STACK_RUBY, "-e", _ASK], capture_output=True, text=True, check=False).stdout.split()
    return said[0] if said[1:] == ["true"] else ""


def choose(asked: Wanted, build_dir: Path, cache: Path, env: Mapping[str, str]) -> Ruby:
    """The stack's Ruby where it fits, else fetched and unpacked. Raises BuildFailed."""
    own = of_stack()
    if own and version.fits(own, asked):
        topic(f"Using Ruby version: ruby-{own} (of the stack)")
        if not asked.requirements:
            detail(f'The Gemfile does not say which Ruby: add the line  ruby "~> {version.series(own)}.0"')
        elif asked.exact and asked.exact != own:
            detail(f"Gemfile.lock was made with {asked.exact}; {asked.origin} allows this one.")
        return Ruby(own)
    exact = asked.exact or ("" if asked.requirements else version.DEFAULT)
    if not exact:
        raise BuildFailed(
            f"{asked.origin} asks for Ruby {', '.join(asked.requirements)}, the stack has {own or 'none'}, "
            "and no full version is named that could be fetched.\n"
            f"Name one with three numbers, like {version.DEFAULT}, and run 'bundle lock'; commit Gemfile.lock."
        )
    ruby = Ruby(exact, f"vendor/ruby-{exact}")
    try:
        _place(ruby, build_dir / ruby.directory, cache, env)
    except BuildFailed as failure:
        if not own or not version.may_replace(own, asked):
            raise BuildFailed(f"{failure}\n{_way_out(own, asked)}") from failure
        warning(f"{failure}\nThe stack's Ruby {own} is used instead.")
        return Ruby(own)
    topic(f"Using Ruby version: ruby-{exact}")
    return ruby


def address(exact: str, env: Mapping[str, str]) -> str:
    """Where Heroku keeps a Ruby: one directory per stack and, since heroku-24, per kind of machine."""
    stack = env.get("STACK", "heroku-24")
    machine = {"aarch64": "arm64"}.get(os.uname().machine, "amd64")
    place = stack if stack == "heroku-22" else f"{stack}/{machine}"
    return f"{env.get('BUILDPACK_VENDOR_URL') or VENDOR_URL}/{place}/ruby-{exact}.tgz"


def _place(ruby: Ruby, target: Path, cache: Path, env: Mapping[str, str]) -> None:
    """Unpack it from the cache or from its address."""
    kept = cache / f"ruby-{ruby.version}-{env.get('STACK', '')}.tar.zst"
    for old in cache.glob("ruby-*.tar.zst"):
        if old != kept:
            old.unlink()
    if archive.load(kept, target) and _runs(target):
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    url = address(ruby.version, env)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "ruby.tgz")
        limits = ["--retry", "2", "--connect-timeout", "10", "--speed-limit", "1000", "--speed-time", "30"]
        fetch = ["curl", "-fsSL", *limits, "-o", str(file), url]
        for command in (fetch, ["tar", "-xzf", str(file), "-C", str(target), "--no-same-owner"]):
            done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(target)
                reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
                raise BuildFailed(f"Ruby {ruby.version} cannot be fetched from {url}:\n{reason}")
    if not _runs(target):
        shutil.rmtree(target)
        raise BuildFailed(f"Ruby {ruby.version} from {url} does not run on this stack.")
    archive.save(target, kept)


def _runs(home: Path) -> bool:
    program = home / "bin/ruby"
    if not program.is_file():
        return False
    return (
        subprocess.run([program, "-ropenssl", "-rpsych", "-e", "0"], capture_output=True, check=False).returncode == 0
    )


def _way_out(own: str, asked: Wanted) -> str:
    text = f"It is asked for by {asked.origin or 'this buildpack'}.\n"
    if own:
        text += f'The stack has Ruby {own}: to use it, write  ruby "~> {version.series(own)}.0"  into the Gemfile,\n'
        text += "run 'bundle update --ruby', commit Gemfile.lock and push again.\n"
    return f"{text}For this version, ask the operator of this platform to make its address reachable."


def commands(directory: Path) -> None:
    """`bundle` and `bundler`, which the stack's Ruby has under other names only."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("bundle", "bundler"):
        file = directory / name
        file.write_text(f'#!/usr/bin/env ruby\nload Gem.activate_bin_path("bundler", "{name}", ">= 0.a")\n')
        file.chmod(0o755)
