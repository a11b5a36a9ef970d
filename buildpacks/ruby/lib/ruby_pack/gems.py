"""`bundle install` into vendor/bundle of the slug, from the gem index, from vendor/cache, or from Debian."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess

from pack import archive
from pack.steps import BuildFailed, detail, run, topic, warning

from ruby_pack import debian
from ruby_pack.app import App, machine

_COMPILED = re.compile(r"An error occurred while installing (\S+) \(([^)]+)\)")
_MISSING_LIBRARY = re.compile(r"(?:cannot find -l|unable to find library|library not found for -l)\s*(\S+)")
_OUT_OF_SYNC = ("frozen", "deployment mode after changing", "dependencies in your gemfile changed", "is out of sync")


def install(app: App) -> None:
    """Raises BuildFailed after bundler has printed its reason."""
    bundle = app.build_dir / "vendor/bundle"
    if bundle.exists():
        warning("Removing vendor/bundle: installed gems do not belong into the repository (git rm -r vendor/bundle).")
        warning("To keep the gems' files with the app, use 'bundle cache', which fills vendor/cache.")
        shutil.rmtree(bundle)
    base, key = _keys(app)
    kept, key_file = app.cache / "bundle.tar.zst", app.cache / "bundle.key"
    last = key_file.read_text().split() if key_file.is_file() else []
    restored = last[:1] == [base] and archive.load(kept, bundle)
    if restored and last == [base, key]:
        topic("Using the gems of the last build (Gemfile.lock has not changed)")
        return
    options = _source(app)
    bundler = _bundler(app, local="--local" in options)
    _bundle_install(app, bundler, options)
    if restored:
        app.ask(app.bundle, "clean")
    shutil.rmtree(app.gem_home / "cache", ignore_errors=True)
    key_file.unlink(missing_ok=True)
    archive.save(bundle, kept)
    if not any(gem.source == "path" for gem in app.lock.gems):  # such gems lie in the app itself
        key_file.write_text(f"{base} {key}")
    else:
        key_file.write_text(base)


def _keys(app: App) -> tuple[str, str]:
    """(of what makes kept gems usable at all, of everything that decides which gems there are)."""
    base = hashlib.sha256(f"1 {app.stack} {machine()} {app.ruby}".encode()).hexdigest()
    digest = hashlib.sha256(app.env["BUNDLE_WITHOUT"].encode())
    for name in ("Gemfile", "Gemfile.lock", ".bundle/config"):
        path = app.build_dir / name
        digest.update(path.read_bytes() if path.is_file() else b"-")
    for path in sorted((app.build_dir / "vendor/cache").glob("*")):
        digest.update(path.name.encode())
    return base, digest.hexdigest()


def _source(app: App) -> list[str]:
    """Options of `bundle install`, after the gems were made available where the index cannot give them."""
    cache = app.build_dir / "vendor/cache"
    vendored = {path.name for path in cache.glob("*.gem")} if cache.is_dir() else set()
    wanted = {gem.name: gem for gem in app.lock.gems if gem.source == "gem"}
    if vendored and all(gem.is_among(vendored) for gem in wanted.values()):
        detail("All gems are in vendor/cache.")
        return ["--local"]
    if not wanted or not (reason := _unreachable(app)):
        return []
    warning(f"{reason}\nThe gems are taken from Debian's packages, as far as it has the versions of Gemfile.lock.")
    debian.provide(app, vendored)
    return ["--local"]


def _unreachable(app: App) -> str:
    """Why a gem index, or the mirror that bundler uses in its place, does not answer; empty if all do."""
    if not app.lock.remotes:
        return ""
    for address in _indexes(app):
        curl = ["curl", "-sSI", "--connect-timeout", "5", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"]
        asked = subprocess.run([*curl, address], env=app.env, capture_output=True, text=True, check=False)
        shown = re.sub(r"//[^/@]+@", "//", address)
        if asked.returncode:
            return f"The gem index {shown} cannot be reached: {asked.stderr.strip().removeprefix('curl: ')}"
        if asked.stdout in ("502", "503", "504"):
            return f"The gem index {shown} cannot be reached: it answers with status {asked.stdout}."
    return ""


def _indexes(app: App) -> list[str]:
    """Addresses of the gem indexes of the lock, or of their mirrors as bundler is told of them."""
    mirrors = "ARGV.each { |uri| puts Bundler.settings.mirror_for(uri) }"
    return app.ask("-rbundler", "-e", mirrors, *app.lock.remotes).stdout.split() or list(app.lock.remotes)


def _bundler(app: App, *, local: bool) -> str:
    """Version of the bundler to use: the one that wrote the lock, installed if need be, or the Ruby's own."""
    own = app.ask("-rbundler/version", "-e", "print Bundler::VERSION").stdout
    wanted = app.lock.bundler
    if local or wanted in ("", own) or wanted.startswith("1."):  # bundler 1 does not run on a Ruby of today
        return own
    if (app.gem_home / f"gems/bundler-{wanted}").is_dir():
        return wanted
    topic(f"Installing bundler {wanted}")
    options = ["--version", wanted, "--no-document", "--env-shebang", "--install-dir", str(app.gem_home)]
    options += [f"--{name}" for name in ("clear-sources", *(f"source={index}" for index in _indexes(app)))]
    env = {name: value for name, value in app.env.items() if name != "BUNDLER_VERSION"}
    if run([app.program, "-S", "gem", "install", "bundler", *options], app.build_dir, env):
        warning(f"Bundler {wanted}, which wrote Gemfile.lock, cannot be installed; {own} is used.")
        return own
    return wanted


def _bundle_install(app: App, bundler: str, options: list[str]) -> None:
    topic(f"Installing dependencies using bundler {bundler}")
    detail(f"Running: BUNDLE_WITHOUT='{app.env['BUNDLE_WITHOUT']}' bundle install {' '.join(options)}".rstrip())
    printed: list[bytes] = []
    env = {**app.env, "BUNDLER_VERSION": bundler}  # else bundler fetches the one that wrote the lock
    if run([app.program, app.bundle, "install", *options], app.build_dir, env, printed):
        raise BuildFailed(explain(b"".join(printed).decode(errors="replace")))


def explain(said: str) -> str:
    """What to do about a `bundle install` that failed, by what it printed."""
    if found := _COMPILED.search(said):
        text = f"The gem {found[1]} ({found[2]}) could not be installed; the reason is above."
        if library := _MISSING_LIBRARY.search(said):
            text += f"\nIt needs the library {library[1]}, which this stack does not have."
        return (
            f"{text}\nA gem in C needs its libraries: name their Debian packages in an Aptfile and put the pack"
            "\nheroku-community/apt first, or use a version of the gem that fits this Ruby."
        )
    if any(text in said for text in _OUT_OF_SYNC):
        return (
            "Gemfile.lock does not fit the Gemfile.\nRun 'bundle install', commit both files together and push again."
        )
    if "but your Gemfile specified" in said:
        return (
            "The Gemfile and Gemfile.lock ask for different versions of Ruby.\n"
            "Run 'bundle update --ruby', commit Gemfile.lock and push again."
        )
    if "Your bundle only supports platforms" in said:
        return (
            "Gemfile.lock does not know this platform.\n"
            f"Run 'bundle lock --add-platform {machine()}-linux', commit Gemfile.lock and push again."
        )
    return "bundler could not install the gems; its reason is above."
