"""The steps of a build, in order."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from pack.steps import config_vars, detail, exit_status, topic, warning

from java_pack import runtime, sources, tools, version

_GRADLE = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradlew")


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    return exit_status(lambda: _compile(build_dir.resolve(), cache_dir / "pogo-java", env_dir))


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    properties = version.properties(build_dir)
    major = version.choose(properties.get("java.runtime.version", ""))
    uses_maven = (build_dir / "pom.xml").is_file()
    uses_gradle = not uses_maven and any((build_dir / name).is_file() for name in _GRADLE)
    given = None if uses_maven or uses_gradle else tools.executable(build_dir)
    files = [] if uses_maven or uses_gradle or given else sources.find(build_dir)
    started = sources.main_class(files, properties.get("main.class", "")) if files else ""
    env = {**os.environ, **config_vars(env_dir, "JAVA_HOME", "JAVA_TOOL_OPTIONS", "CLASSPATH")}
    home = runtime.install(build_dir, major, not given, cache, env)
    env |= runtime.environment(home)
    work = Path(tempfile.mkdtemp(prefix="java-"))
    if uses_maven:
        tools.maven(build_dir, cache, work, env)
    elif uses_gradle:
        tools.gradle(build_dir, cache, work, env)
    elif files:
        sources.compile_all(build_dir, files, env)
    runtime.strip(home)
    runtime.profile(build_dir, home)
    command = _command(build_dir, started)
    (build_dir / ".heroku/java/web").write_text(json.dumps(command) if command else "")
    export = Path(__file__).parents[2] / "export"
    export.write_text("".join(f'export {name}="{value}"\n' for name, value in runtime.environment(home).items()))


def _command(build_dir: Path, started: str) -> str:
    """What `web` runs unless the Procfile says it; empty where nothing is known."""
    if started:
        return f"java $JAVA_OPTS -cp {sources.class_path(build_dir)} {started}"
    if jar := tools.executable(build_dir):
        topic("Executable jar")
        detail(jar.path)
        port = "-Dserver.port=$PORT " if jar.spring else ""
        return f"java {port}$JAVA_OPTS -jar {jar.path}"
    if not (build_dir / "Procfile").is_file():
        warning("Nothing will run: there is no jar with a Main-Class. Add a Procfile, or let the build make one.")
    return ""
