"""Submodules of an app that was pushed: fetched at the commits that the push recorded.

`git archive` leaves them out, so the hook that sends the source adds a list of them: lines
`<commit> <path>` in a file of its own, which is not part of the app.
"""

from __future__ import annotations

import configparser
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from pogo.build.failures import AppFault, DiskFull, disk_is_full
from pogo.build.fetch import GitRepository, without_login
from pogo.build.output import detail, topic
from pogo.rules.submodules import LIST, parse_list

_DEEPEST = 10
_LOGIN = re.compile(r"could not read Username|Authentication failed|terminal prompts disabled|HTTP 40[13]", re.I)


def fetch(build_dir: Path, mirrors: Mapping[str, str], env: Mapping[str, str], work: Path) -> None:
    """Fill the directories of all submodules, and those inside of them. Raises AppFault, DiskFull.

    work: a directory for clones, removed afterwards.
    """
    recorded = build_dir / LIST
    if not recorded.is_file():
        return
    commits = parse_list(recorded.read_text())
    recorded.unlink()
    topic("Git submodules detected, installing")
    _fetch_all(build_dir, "", commits, mirrors, env, work, 1)
    shutil.rmtree(work, ignore_errors=True)


def _fetch_all(
    tree: Path,
    above: str,
    commits: Mapping[str, str],
    mirrors: Mapping[str, str],
    env: Mapping[str, str],
    work: Path,
    depth: int,
) -> None:
    urls = _urls(tree)
    for number, (path, commit) in enumerate(commits.items()):
        shown = f"{above}{path}"
        if depth > _DEEPEST:
            raise AppFault(
                f"The submodule {shown!r} is refused: submodules lie more than {_DEEPEST} deep in each other."
            )
        url = urls.get(path, "")
        _check(shown, url)
        target = tree / path
        if target.parent.resolve() != target.parent.absolute() or target.is_symlink():
            raise AppFault(f"The submodule {shown!r} is refused: its path leads over a symbolic link.")
        detail(f"Submodule '{shown}' ({without_login(url)}) at {commit[:8]}")
        git = GitRepository(work / f"{depth}-{number}", mirrors, env)
        shutil.rmtree(git.directory, ignore_errors=True)
        git.begin()
        why = git.update(url, commit, 300) or git.check_out(submodules=False)
        if why:
            raise _failed(shown, url, commit, why, work)
        inner = git.run("ls-tree", "-r", "-z", commit).stdout.decode(errors="surrogateescape")
        inner_commits = {
            path: entry.split()[2]
            for entry, _, path in (line.partition("\t") for line in inner.split("\0"))
            if entry.startswith("160000 ")
        }
        shutil.rmtree(git.directory / ".git")
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        git.directory.rename(target)
        _fetch_all(target, f"{shown}/", inner_commits, mirrors, env, work, depth + 1)


def _urls(tree: Path) -> dict[str, str]:
    """path → URL, as .gitmodules has it."""
    file = tree / ".gitmodules"
    # git's own reader is not at hand without a repository; the form of this file is that of an ini file.
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, comment_prefixes=("#", ";"))
    try:
        text = file.read_text(errors="replace") if file.is_file() else ""
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    except configparser.Error as error:
        raise AppFault(f"The file .gitmodules cannot be read: {error.message}") from error
    sections = [dict(parser.items(name)) for name in parser.sections() if name.startswith("submodule")]
    return {
        str(one["path"]).strip('"'): str(one["url"]).strip('"') for one in sections if "path" in one and "url" in one
    }


def _check(path: str, url: str) -> None:
    if not url:
        raise AppFault(
            f"The submodule {path!r} cannot be fetched: .gitmodules has no URL for it.",
            "Commit a .gitmodules file that names it, or remove it: git rm --cached " + path,
        )
    if url.startswith(("./", "../", "/")):
        raise AppFault(
            f"The submodule {path!r} cannot be fetched: its URL {url!r} is relative to a repository elsewhere.",
            f"Give it an address that everybody can read: git submodule set-url {path} https://…",
        )
    if not url.startswith("https://"):
        raise AppFault(
            f"The submodule {path!r} cannot be fetched: its URL {without_login(url)!r} does not begin with https://.",
            "A build has no keys for other servers.",
            f"Give it an https address: git submodule set-url {path} https://…",
        )


def _failed(path: str, url: str, commit: str, why: str, work: Path) -> AppFault:
    if disk_is_full(work, why.encode()):
        return DiskFull()
    reason = [without_login(line) for line in why.strip().splitlines()[-4:]]
    message = "\n".join([f"The submodule {path!r} could not be fetched from {without_login(url)}:", *reason])
    if _LOGIN.search(why):
        return AppFault(
            message,
            "It is private, or not there. A build cannot log in anywhere: make the repository public,",
            "put a token with read access into its URL in .gitmodules, or copy its files into the app (git subtree).",
        )
    return AppFault(message, f"Is the commit {commit[:12]} pushed there? Check the address in .gitmodules.")
