"""The decisions of the Python pack: which manager, which Python, and when an environment may be kept."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/python/lib"))

from pack.steps import BuildFailed, config_vars
from python_pack import django, environment, managers, requirements, runtime, uv, version
from python_pack.environment import Layout
from python_pack.runtime import Python, Unreachable
from python_pack.version import Wanted


def write(directory: Path, **files: str) -> Path:
    """Files by name, with `__` for a dot."""
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"requirements__txt": ""}, "pip"),
        ({"Pipfile__lock": "{}", "Pipfile": ""}, "pipenv"),
        ({"poetry__lock": "", "pyproject__toml": "[tool.poetry]"}, "poetry"),
        ({"uv__lock": "", "pyproject__toml": "[project]"}, "uv"),
        ({"pyproject__toml": "[project]"}, "uv"),
        ({"requirements__txt": "", "pyproject__toml": "[tool.poetry]", "setup__py": ""}, "pip"),
        ({"setup__py": ""}, "setup.py"),
        ({"pyproject__toml": "[tool.ruff]"}, ""),
        ({"manage__py": ""}, ""),
    ],
)
def test_the_lock_file_chooses_the_manager(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert managers.choose(write(tmp_path, **files)) == expected


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"requirements__txt": "", "poetry__lock": ""}, r"(?s)Multiple.*requirements\.txt \(pip\).*poetry\.lock"),
        ({"Pipfile__lock": "", "uv__lock": ""}, "Multiple"),
        ({"Pipfile": ""}, r"No Pipfile\.lock"),
        ({"Pipfile": "", "requirements__txt": ""}, r"No Pipfile\.lock"),
        ({"pyproject__toml": "[tool.poetry]"}, r"No poetry\.lock"),
        ({"pyproject__toml": "[project"}, r"pyproject\.toml is not valid"),
        ({"requirments__txt": ""}, r"right name is requirements\.txt"),
    ],
)
def test_what_leaves_the_manager_open_is_refused(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    with pytest.raises(BuildFailed, match=reason):
        managers.choose(write(tmp_path, **files))


def pipfile(**requires: str) -> str:
    return json.dumps({"_meta": {"requires": requires}})


@pytest.mark.parametrize(
    ("manager", "files", "expected"),
    [
        ("pip", {"__python-version": "3.13"}, Wanted(".python-version", "3.13")),
        ("pip", {"__python-version": "# ours\n3.12.4\n"}, Wanted(".python-version", "3.12.4")),
        ("pip", {"runtime__txt": "python-3.11.9", "__python-version": "3.9"}, Wanted("runtime.txt", "3.11.9")),
        ("pip", {"__python-version": "3"}, Wanted()),
        ("pip", {"pyproject__toml": '[project]\nrequires-python = ">=3.12"'}, Wanted()),
        ("uv", {"pyproject__toml": '[project]\nrequires-python = ">=3.12"'}, Wanted("pyproject.toml", "", ">=3.12")),
        ("uv", {"pyproject__toml": '[project]\nrequires-python = "new"'}, Wanted()),
        (
            "poetry",
            {"pyproject__toml": '[tool.poetry.dependencies]\npython = "^3.9"'},
            Wanted("pyproject.toml", "", "^3.9"),
        ),
        ("pipenv", {"Pipfile__lock": pipfile(python_version="3.12")}, Wanted("Pipfile.lock", "3.12")),
        ("pipenv", {"Pipfile__lock": pipfile(python_full_version="3.12.1")}, Wanted("Pipfile.lock", "3.12.1")),
        ("pipenv", {"Pipfile__lock": pipfile()}, Wanted()),
    ],
)
def test_the_python_that_is_asked_for(tmp_path: Path, manager: str, files: dict[str, str], expected: Wanted) -> None:
    assert version.wanted(write(tmp_path, **files), manager) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runtime.txt", "3.11"),
        (".python-version", "3.11\n3.12"),
        (".python-version", "pypy"),
        (".python-version", ""),
        ("Pipfile.lock", pipfile(python_version=">=3.9")),
        ("Pipfile.lock", "{"),
    ],
)
def test_a_malformed_version_is_refused_with_the_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BuildFailed, match=name):
        version.wanted(tmp_path, "pipenv")


def test_a_version_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.13", encoding="utf-16")
    with pytest.raises(BuildFailed, match="UTF-8"):
        version.wanted(tmp_path, "pip")


@pytest.mark.parametrize(
    ("number", "allowed", "expected"),
    [
        ("3.12.4", ">=3.10", True),
        ("3.12.4", ">=3.10,<3.12", False),
        ("3.12.4", ">=3.10, !=3.12.*", False),
        ("3.12.4", "==3.12.*", True),
        ("3.12.4", "~=3.10", True),
        ("3.12.4", "~=3.12.5", False),
        ("3.12.4", "^3.10", True),
        ("3.12.4", "^4.0", False),
        ("3.12.4", "~3.12", True),
        ("3.12.4", "~3.11", False),
        ("3.12.4", "<=3.12", True),
        ("3.12.4", ">3.12", False),
        ("3.12.4", "<3.10 || >=3.12", True),
        ("3.12.4", ">=3.10 <3.13", True),
    ],
)
def test_ranges_of_pythons(number: str, allowed: str, expected: bool) -> None:
    assert version.in_range(number, allowed) is expected


def test_a_range_prefers_the_newest_python_in_it() -> None:
    assert version.candidates(Wanted("x", allowed=">=3.10,<3.13")) == ["3.12", "3.11", "3.10"]
    assert version.candidates(Wanted("x", "3.9.4")) == ["3.9"]
    assert version.candidates(Wanted("x", allowed=">=3.12.9,<3.13")) == ["3.12"]


@pytest.mark.parametrize(
    ("first", "published", "expected"),
    [
        (7, {7}, 7),
        (7, {5, 6, 7, 8, 9}, 9),
        (7, {7, 9}, 9),
        (7, {8}, 8),
        (7, {0, 5}, 5),
        (7, set(), None),
        (0, {0, 1, 2, 3, 4, 5}, 5),
    ],
)
def test_the_newest_patch_release_is_found_by_asking(first: int, published: set[int], expected: int | None) -> None:
    assert runtime.newest_patch(first, published.__contains__) == expected


def choose(asked: Wanted, cache: Path, monkeypatch: pytest.MonkeyPatch, published: set[str] | None) -> Python:
    """published: versions that the place of archives has; None where it cannot be reached."""

    def exists(number: str) -> bool:
        if published is None:
            raise Unreachable("no way there")
        return number in published

    monkeypatch.setattr(runtime, "_exists", exists)
    monkeypatch.setenv("STACK", "heroku-24")
    return runtime.choose(asked, cache)


def test_the_stacks_python_is_used_where_it_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Python(platform.python_version())
    line = own.line
    for asked in (Wanted(), Wanted("x", line), Wanted("x", own.version), Wanted("x", allowed=">=3.8")):
        assert choose(asked, tmp_path, monkeypatch, None) == own


def test_another_python_is_fetched_by_its_full_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = choose(Wanted("x", "3.9"), tmp_path, monkeypatch, {"3.9.25", "3.9.26"})
    assert found.version == "3.9.26"
    assert found.archive.endswith("/python-3.9.26-ubuntu-24.04-amd64.tar.zst")
    assert choose(Wanted("x", "3.9"), tmp_path, monkeypatch, None).version == "3.9.26"  # remembered
    assert choose(Wanted("x", "3.9.3"), tmp_path, monkeypatch, {"3.9.3"}).version == "3.9.3"
    assert choose(Wanted("x", allowed=">=3.8,<3.10"), tmp_path, monkeypatch, {"3.8.20"}).version == "3.8.20"


@pytest.mark.parametrize("published", [set(), None])
def test_a_python_that_cannot_be_had_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: set[str] | None
) -> None:
    with pytest.raises(BuildFailed, match=r"(?s)Python 3\.2, asked for by \.python-version, is not.*pogo mirror"):
        choose(Wanted(".python-version", "3.2"), tmp_path, monkeypatch, published)


def test_another_patch_release_than_the_stacks_is_a_warning_where_it_cannot_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Python(platform.python_version())
    assert choose(Wanted(".python-version", f"{own.line}.99"), tmp_path, monkeypatch, None) == own
    assert f"The stack's Python {own.version}, of the same line, is used" in capsys.readouterr().out


def test_what_decides_about_an_environment(tmp_path: Path) -> None:
    main, more = tmp_path / "requirements.txt", tmp_path / "more.txt"
    main.write_text("Flask[async]==3 ; python_version > '3'\n-r more.txt  # and these\n-c limits.txt\n")
    assert not requirements.read(tmp_path).fixed
    more.write_text("django_x\n--extra-index-url https://x\nz \\\n  >1\n")
    (tmp_path / "limits.txt").write_text("six<2\n")
    first = requirements.read(tmp_path)
    assert first.names == {"flask", "django-x", "z"}
    assert first.fixed and first.adjustable and not first.unnamed
    more.write_text("django<5\n")
    assert requirements.read(tmp_path).digest != first.digest


@pytest.mark.parametrize(
    ("line", "fixed", "adjustable"),
    [
        ("-e .", False, True),
        (".", False, True),
        ("./lib", False, True),
        ("../x", False, True),
        ("vendor/lib", False, True),
        ("file:///x", False, True),
        ("x @ file:///y", False, True),
        ("git+https://host/x.git@main#egg=x", False, True),
        ("x @ git+https://host/x.git", False, True),
        ("-r https://a/b.txt", False, False),
        ("/wheels/x.whl", False, False),
        ("x==1 --hash=sha256:00", True, False),
        ("https://host/x-1.tar.gz", True, True),
        ("x==1", True, True),
    ],
)
def test_what_may_be_reused(tmp_path: Path, line: str, fixed: bool, adjustable: bool) -> None:
    (tmp_path / "requirements.txt").write_text(f"flask\n{line}\n")
    found = requirements.read(tmp_path)
    assert (found.fixed, found.adjustable) == (fixed, adjustable)


def test_packages_that_nothing_asks_for_any_more() -> None:
    needs = {"flask": {"jinja2", "absent"}, "jinja2": {"markupsafe"}, "markupsafe": set(), "pytz": {"flask"}}
    assert requirements.unneeded(["flask"], needs) == ["pytz"]
    assert requirements.unneeded([], needs) == sorted(needs)
    assert requirements.depends_on("Name: x\nRequires-Dist: A_b>1; extra == 'c'\nRequires-Dist: d (>2)\n") == {
        "a-b",
        "d",
    }


def layout(tmp_path: Path) -> Layout:
    home = tmp_path / "home"
    (home / "lib/python3.13/site-packages").mkdir(parents=True)
    return Layout(tmp_path / "build", tmp_path, home, Python("3.13.5"))


def test_paths_of_editable_packages_follow_the_app(tmp_path: Path) -> None:
    made = layout(tmp_path)
    file = made.site_packages() / "x.pth"
    build = str(made.build_dir)
    file.write_text(f"{build}/src\n{build}\n{build}x\n{build}/.heroku/python/src/y\n")
    environment.relocate(made, build, "/app")
    assert file.read_text() == f"/app/src\n/app\n{build}x\n{made.home}/src/y\n"
    environment.relocate(made, "/app", build)
    assert file.read_text() == f"{build}/src\n{build}\n{build}x\n{made.home}/src/y\n"


def test_an_environment_of_another_python_or_stack_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = layout(tmp_path)
    environment.keep(made, {"manager": "pip"})
    assert environment.notes(made)["manager"] == "pip"
    other = Layout(made.build_dir, made.cache, made.home, Python("3.12.1", "https://x"))
    assert environment.notes(other) == {}
    monkeypatch.setenv("STACK", "heroku-22")
    assert environment.notes(made) == {}
    made.notes.write_text("{")
    assert environment.notes(made) == {}


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        ('{ editable = "." }', True),
        ('{ editable = "lib" }', False),
        ('{ directory = "x" }', False),
        ('{ registry = "y" }', True),
    ],
)
def test_a_uv_lock_decides_alone_unless_it_names_directories(tmp_path: Path, source: str, fixed: bool) -> None:
    made = layout(tmp_path)
    made.build_dir.mkdir()
    (made.build_dir / "uv.lock").write_text(f'[[package]]\nname = "x"\nsource = {source}\n')
    assert uv.read(made)[1] is fixed
    (made.build_dir / "pyproject.toml").write_text('[project]\ndynamic = ["version"]\n')
    assert uv.read(made)[1] is False


def test_the_manage_py_nearest_to_the_top_counts(tmp_path: Path) -> None:
    assert django.find_manage(tmp_path) is None
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/manage.py").touch()
    assert django.find_manage(tmp_path) == tmp_path / "a/b/manage.py"
    (tmp_path / "a/manage.py").touch()
    assert django.find_manage(tmp_path) == tmp_path / "a/manage.py"


def test_collectstatic_is_skipped_where_it_is_not_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packages = tmp_path / "packages"

    def said(**env: str) -> str:
        django.collect_static(tmp_path, packages, Path("/bin/false"), env)
        return capsys.readouterr().out

    assert said() == ""
    (packages / "django").mkdir(parents=True)
    (packages / "django/__init__.py").touch()
    assert "no manage.py" in said()
    (tmp_path / "manage.py").touch()
    assert "DISABLE_COLLECTSTATIC" in said(DISABLE_COLLECTSTATIC="1")
    with pytest.raises(BuildFailed, match="collectstatic failed"):
        said(DISABLE_COLLECTSTATIC="0")
    (tmp_path / ".heroku").mkdir()
    (tmp_path / ".heroku/collectstatic_disabled").touch()
    assert "deprecated" in said()


def test_config_vars_that_would_break_the_tools_stay_out(tmp_path: Path) -> None:
    (tmp_path / "PATH").write_text("/nowhere")
    (tmp_path / "KEY").write_text("two\nlines")
    assert config_vars(tmp_path) == {"KEY": "two\nlines"}
