"""Plain Java files, without a build tool: compiled by javac; the class with `main` is the app."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, detail, run, topic

CLASSES = ".heroku/java/classes"
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"\"\".*?\"\"\"|\"(?:[^\"\\\n]|\\.)*\"", re.S)
_MAIN = re.compile(r"\bpublic\s+static\s+(?:final\s+)?void\s+main\s*\(|\bstatic\s+public\s+void\s+main\s*\(")
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.M)


def find(build_dir: Path) -> list[Path]:
    """*.java of the top directory, else of src/main/java, else of src; without tests."""
    for place in (build_dir, build_dir / "src/main/java", build_dir / "src"):
        pattern = "*.java" if place == build_dir else "**/*.java"
        found = [path for path in sorted(place.glob(pattern)) if "test" not in path.relative_to(build_dir).parts[:-1]]
        if found:
            return found
    return []


def main_classes(sources: list[Path]) -> list[str]:
    """Full names of the classes that have `public static void main`."""
    found = []
    for path in sources:
        text = _COMMENT.sub(" ", path.read_text(errors="replace"))
        if _MAIN.search(text):
            package = _PACKAGE.search(text)
            found.append(f"{package[1]}.{path.stem}" if package else path.stem)
    return found


def main_class(sources: list[Path], named: str) -> str:
    """The one to start. named: `main.class` of system.properties. Raises BuildFailed."""
    found = main_classes(sources)
    if named:
        if named not in found:
            raise BuildFailed(f"main.class of system.properties is {named!r}; classes with main: {_list(found)}.")
        return named
    if len(found) != 1:
        raise BuildFailed(
            f"One class with 'public static void main' is needed; there are: {_list(found)}.\n"
            "Name the one to start by a line main.class=<name> in the file system.properties, and push again."
        )
    return found[0]


def compile_all(build_dir: Path, sources: list[Path], env: Mapping[str, str]) -> None:
    """Raises BuildFailed after javac has printed its reason."""
    topic(f"Compiling {len(sources)} Java files")
    target = build_dir / CLASSES
    target.mkdir(parents=True, exist_ok=True)
    names = [str(path.relative_to(build_dir)) for path in sources]
    command = ["javac", "-encoding", "UTF-8", "-d", str(target), "-cp", "lib/*", *names]
    if run(command, build_dir, env):
        raise BuildFailed("javac could not compile the app; its reason is above.")
    resources = build_dir / "src/main/resources"
    if resources.is_dir():
        detail("src/main/resources goes to the class path")


def class_path(build_dir: Path) -> str:
    """Relative to the app."""
    parts = [CLASSES]
    parts += [name for name in ("src/main/resources", "lib/*") if list(build_dir.glob(name))]
    return ":".join(parts)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
