"""Maven and Gradle, and the jar that they make."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pack import archive, debs
from pack.steps import BuildFailed, detail, run, topic

CACHE_LIMIT = 800 << 20
_OUT_OF_REACH = re.compile(
    rb"(?:UnknownHostException: |Could not transfer artifact .{0,300}?https?://|Unknown host |Connect(?:ion)? to )"
    rb"([\w-]+(?:\.[\w-]+)+)|Could not (?:GET|HEAD) 'https?://([\w.-]+)",
    re.S,
)
_PARTS = ("-sources.jar", "-javadoc.jar", "-tests.jar", "-plain.jar")


@dataclass(frozen=True)
class Jar:
    """path: relative to the app. spring: made by Spring Boot, which reads the port from `server.port`."""

    path: str
    spring: bool


def executable(build_dir: Path) -> Jar | None:
    """The jar with a `Main-Class` in target/, build/libs/ or the top directory. Two of them: raises BuildFailed."""
    for place in ("target", "build/libs", "."):
        found = []
        for path in sorted((build_dir / place).glob("*.jar")):
            if path.name.startswith("original-") or path.name.endswith(_PARTS):
                continue
            attributes = manifest(path)
            if "Main-Class" in attributes:
                name = str(path.relative_to(build_dir))
                found.append(Jar(name, "Spring-Boot-Version" in attributes or "Start-Class" in attributes))
        if len(found) > 1:
            names = ", ".join(jar.path for jar in found)
            if (build_dir / "Procfile").is_file():
                return None
            raise BuildFailed(f"There are several executable jars: {names}.\nSay by a Procfile which one to run.")
        if found:
            return found[0]
    return None


def manifest(jar: Path) -> dict[str, str]:
    """Main attributes of a jar's manifest; empty for a file that is none. Lines go on after a newline and a space."""
    try:
        with zipfile.ZipFile(jar) as opened:
            text = opened.read("META-INF/MANIFEST.MF").decode(errors="replace")
    except (KeyError, zipfile.BadZipFile):
        return {}
    main = re.sub(r"\r?\n ", "", text).replace("\r", "").partition("\n\n")[0]
    return dict(line.split(": ", 1) for line in main.splitlines() if ": " in line)


def maven(build_dir: Path, cache: Path, work: Path, env: Mapping[str, str]) -> None:
    """`mvn -DskipTests clean install`, by the app's mvnw or the stack's Maven. Raises BuildFailed."""
    repository = work / "m2"
    archive.load(cache / "m2.tar.zst", repository)
    goals = shlex.split(env.get("MAVEN_CUSTOM_GOALS", "")) or ["clean", "install"]
    options = shlex.split(env.get("MAVEN_CUSTOM_OPTS", "")) or ["-DskipTests"]
    if settings := env.get("MAVEN_SETTINGS_PATH"):
        options += ["--settings", settings]
    wrapper = build_dir / "mvnw"
    if wrapper.is_file():
        wrapper.chmod(wrapper.stat().st_mode | 0o755)
        program = "./mvnw"
    else:
        topic("Installing Maven")
        debs.install(["maven"], work / "maven", cache / "maven-debs", env)
        program = str(work / "maven/usr/share/maven/bin/mvn")
    topic(f"Building: {Path(program).name} {shlex.join([*options, *goals])}")
    printed: list[bytes] = []
    command = [program, "-B", "-ntp", f"-Dmaven.repo.local={repository}", *options, *goals]
    environment = {**env, "MAVEN_USER_HOME": str(cache / "maven-home")}
    if run(command, build_dir, environment, printed):
        raise _failure(b"".join(printed), "Maven")
    _keep(repository, cache / "m2.tar.zst")


def gradle(build_dir: Path, cache: Path, work: Path, env: Mapping[str, str]) -> None:
    """The app's gradlew: the task `stage` if there is one, else `build` without tests. Raises BuildFailed."""
    wrapper = build_dir / "gradlew"
    if not wrapper.is_file():
        raise BuildFailed(
            "There is no gradlew in the top directory, and Gradle comes with it.\n"
            "'gradle wrapper' writes it: commit gradlew and gradle/wrapper/ and push again."
        )
    wrapper.chmod(wrapper.stat().st_mode | 0o755)
    home = work / "gradle"
    archive.load(cache / "gradle.tar.zst", home)
    files = [path for name in ("build.gradle", "build.gradle.kts") if (path := build_dir / name).is_file()]
    staged = any(re.search(r"\bstage\b", path.read_text(errors="replace")) for path in files)
    tasks = shlex.split(env.get("GRADLE_TASK", "")) or (["stage"] if staged else ["build", "-x", "check"])
    topic(f"Building: ./gradlew {shlex.join(tasks)}")
    printed: list[bytes] = []
    command = ["./gradlew", "--no-daemon", "--console=plain", *tasks]
    if run(command, build_dir, {**env, "GRADLE_USER_HOME": str(home)}, printed):
        raise _failure(b"".join(printed), "Gradle")
    _keep(home, cache / "gradle.tar.zst")


def _keep(directory: Path, file: Path) -> None:
    size = sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
    if size > CACHE_LIMIT:
        detail(f"The downloads have grown over {CACHE_LIMIT >> 20} MB; the next build begins anew.")
        file.unlink(missing_ok=True)
    elif directory.is_dir():
        archive.save(directory, file)
    shutil.rmtree(directory, ignore_errors=True)


def _failure(said: bytes, tool: str) -> BuildFailed:
    match = _OUT_OF_REACH.search(said)
    if not match:
        return BuildFailed(f"{tool} could not build the app; its reason is above.")
    host = (match[1] or match[2]).decode()
    central = " (Maven Central)" if "maven" in host else ""
    return BuildFailed(
        f"{tool} cannot reach {host}{central} from this platform's builds.\n"
        "Either name a repository that can be reached (MAVEN_SETTINGS_PATH with a mirror, or 'repositories' of the\n"
        "build file), or build the jar yourself and commit it in target/, without pom.xml and build.gradle.\n"
        "Then push again."
    )
