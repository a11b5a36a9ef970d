"""Directories kept in the cache as one compressed file: writing thousands of small files is what makes a cache slow."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pack.steps import BuildFailed


def save(directory: Path, file: Path, paths: Sequence[str] = (".",)) -> None:
    """Replace `file` by an archive of `directory`, or of some paths in it. Raises BuildFailed."""
    partial = file.with_name(f"{file.name}.partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    command = ["tar", "-C", str(directory), "-I", "zstd -3 -T0 -q", "-cf", str(partial), "--", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"The cache cannot be written: {done.stderr.strip()}")
    partial.rename(file)


def load(file: Path, directory: Path) -> bool:
    """Unpack into `directory`, made if need be. False, with nothing there, if it is missing or damaged."""
    if not file.is_file():
        return False
    directory.mkdir(parents=True, exist_ok=True)
    command = ["tar", "-C", str(directory), "-I", "zstd -d -q", "-xf", str(file), "--no-same-owner"]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return True
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return False
