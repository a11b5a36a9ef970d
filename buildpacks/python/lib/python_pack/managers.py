"""Which package manager an app uses: the one whose lock file it has. More than one is an error, as on Heroku."""

from __future__ import annotations

from pathlib import Path

from pack.steps import BuildFailed, topic, warning

from python_pack.version import pyproject

FILES = {
    "pipenv": ("Pipfile.lock", "Pipenv"),
    "pip": ("requirements.txt", "pip"),
    "poetry": ("poetry.lock", "Poetry"),
    "uv": ("uv.lock", "uv"),
}
MISSPELT = ("requirement.txt", "requirments.txt", "requeriments.txt", "Requirements.txt", "requirements.text")


def choose(build_dir: Path) -> str:
    """pipenv, pip, poetry, uv, `setup.py` (only that), or empty where nothing is declared. Raises BuildFailed."""
    found = [manager for manager, (name, _) in FILES.items() if (build_dir / name).is_file()]
    if len(found) > 1:
        listed = "\n".join(f"  {FILES[manager][0]} ({FILES[manager][1]})" for manager in found)
        raise BuildFailed(
            f"Multiple Python package manager files were found:\n{listed}\n"
            "Exactly one should be there. Decide for one of them, delete the others and push again."
        )
    if (build_dir / "Pipfile").is_file() and "pipenv" not in found:
        raise BuildFailed(
            "No Pipfile.lock found: there is a Pipfile, but without its lock file the versions are not known.\n"
            "Run 'pipenv lock', commit Pipfile.lock (is it in .gitignore or .slugignore?), and push again."
        )
    if found:
        return found[0]
    project = pyproject(build_dir)
    if "poetry" in (project.get("tool") or {}) and "project" not in project:
        raise BuildFailed(
            "No poetry.lock found: pyproject.toml is Poetry's, but without its lock file the versions are not known.\n"
            "Run 'poetry lock', commit poetry.lock, and push again."
        )
    if "project" in project:
        return "uv"
    if (build_dir / "setup.py").is_file():
        warning("There is only a setup.py. Add a requirements.txt with the line '--editable .' to say what is wanted.")
        return "setup.py"
    wrong = next((name for name in MISSPELT if (build_dir / name).is_file()), None)
    if wrong:
        raise BuildFailed(f"There is a file {wrong}; the right name is requirements.txt.")
    topic("No dependencies declared (no requirements.txt, Pipfile.lock, poetry.lock, uv.lock or pyproject.toml)")
    return ""
