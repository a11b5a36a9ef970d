"""The Python pack with each package manager, through the real builder: built, built again, changed, run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from builder_rig import Builder
from pack_rig import APPS, Record, Runner, builders, note


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with builders(tmp_path_factory.mktemp("python")) as runner:
        yield runner


def signs(output: str) -> bool:
    """Whether the program of the example ran, from its source in /app."""
    return "signed x." in output and "/app/src/hello/__init__.py" in output


@pytest.mark.parametrize(
    ("manager", "command", "lock"),
    [("poetry", "poetry sync --only main", "poetry.lock"), ("uv", "uv sync --locked --no-default-groups", "uv.lock")],
)
def test_a_project_of_poetry_and_of_uv(
    run: Runner, record_property: Record, manager: str, command: str, lock: str
) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(APPS / manager)
        assert first.status == 0, first.log
        assert command in first.log
        assert "Installed: hello-0.1.0 itsdangerous-2.2.0\n" in first.log  # and no development dependency
        second = await builder.build(APPS / manager, cache=first.cache)
        assert f"Using the installed packages of the last build ({lock} has not changed)" in second.log
        note(record_property, first, second, name=f"{manager} ")
        status, output = await builder.run(second, "hello; pip list")
        assert status == 0 and signs(output) and "six" not in output
        files = {path.name: path.read_text() for path in (APPS / manager).iterdir() if path.is_file()}
        files["requirements.txt"] = "six\n"
        refused = await builder.build(files, cache=first.cache)
        assert refused.status != 0
        assert " !     Multiple Python package manager files were found:" in refused.log

    run(scenario)


def test_pipenv(run: Runner, record_property: Record) -> None:
    async def scenario(builder: Builder) -> None:
        first = await builder.build(APPS / "pipenv")
        assert first.status == 0, first.log
        assert "pipenv install --deploy" in first.log
        assert "Installed: itsdangerous-2.2.0\n" in first.log
        second = await builder.build(APPS / "pipenv", cache=first.cache)
        assert "Using the installed packages of the last build (Pipfile.lock has not changed)" in second.log
        note(record_property, first, second, name="pipenv ")
        assert (await builder.run(second, "python app.py"))[1].startswith("signed /app/.heroku/python/lib/")

    run(scenario)


def test_changed_requirements_bring_the_environment_up_to_date(run: Runner, record_property: Record) -> None:
    async def scenario(builder: Builder) -> None:
        def app(requirements: str) -> dict[str, str]:
            setup = "from setuptools import setup; setup(name='own', version='1', py_modules=['own'])"
            return {"requirements.txt": requirements, "lib/setup.py": setup, "lib/own.py": "place = __file__\n"}

        first = await builder.build(app("itsdangerous==2.1.2\npytz\n"))
        assert first.status == 0, first.log
        second = await builder.build(app("itsdangerous==2.2.0\nsix\n"), cache=first.cache)
        assert second.status == 0, second.log
        assert "No longer needed: pytz" in second.log
        assert "Installed: itsdangerous-2.2.0 six-" in second.log
        third = await builder.build(app("six\n-e ./lib\n"), cache=second.cache)
        assert third.status == 0, third.log
        assert "itsdangerous" not in third.log.partition("Installed:")[2]
        fourth = await builder.build(app("six\n-e ./lib\n"), cache=third.cache)
        assert fourth.status == 0, fourth.log
        note(record_property, first, second, third, name="pip ")
        status, output = await builder.run(fourth, "python -c 'import own; print(own.place)'")
        assert (status, output) == (0, "/app/lib/own.py\n")

    run(scenario)


def test_a_python_that_cannot_be_had(run: Runner) -> None:
    async def scenario(builder: Builder) -> None:
        refused = await builder.build({"requirements.txt": "", ".python-version": "3.1\n"})
        assert refused.status != 0
        assert " !     Python 3.1, asked for by .python-version, is not available here." in refused.log
        assert "pogo mirror" in refused.log
        old = await builder.build({"requirements.txt": "", "runtime.txt": "python-3.13\n"})
        assert old.status == 0, old.log
        assert " !     runtime.txt is deprecated" in old.log

    run(scenario)
