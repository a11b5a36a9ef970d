"""The steps of a build, in order."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from static_pack import nginx, settings

_WEB = Path(__file__).with_name("web.sh")


def run(build_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    try:
        found = settings.load(build_dir)
    except settings.InvalidSettings as error:
        print(f"\n !     {error}", flush=True)
        return 1
    print(f"-----> Serving {found.root if found.root != '.' else 'the top directory'} by nginx", flush=True)
    text = nginx.config(found)
    if reason := _refused(text):
        print(f"\n !     nginx does not accept what static.json asks for:\n{reason}", flush=True)
        return 1
    home = build_dir / ".heroku/static"
    home.mkdir(parents=True, exist_ok=True)
    (home / "nginx.conf").write_text(text)
    shutil.copy(_WEB, home / "web")
    return 0


def _refused(text: str) -> str:
    """What nginx itself says against the configuration; empty if nothing, or if it is not installed here."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text.replace("@PORT@", "8080").replace("@WORKERS@", "1"))
        file.flush()
        test = [program, "-t", "-q", "-e", "stderr", "-c", file.name]
        done = subprocess.run(test, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""
