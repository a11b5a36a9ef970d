"""`python -m pogo.install up|down|doctor`, called by bin/up, bin/down and `pogo doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pogo.agent.command import with_config
from pogo.agent.installation import DEFAULT_CONFIG
from pogo.errors import PogoError


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/up or bin/down")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down"):
        verbs.add_parser(verb, prog=f"bin/{verb}").add_argument("--checkout", type=Path, required=True)
    verbs.choices["down"].add_argument("--keep-dynos", action="store_true", help="let the containers run on")
    verbs.choices["down"].add_argument("--purge", action="store_true", help="remove the installation with all apps")
    verbs.choices["down"].add_argument("--yes", action="store_true", help="do not ask before removing")
    verbs.add_parser("doctor", prog="pogo doctor").add_argument("--json", action="store_true", help="for programs")
    moving = verbs.add_parser("migrate-store", prog="pogo admin:migrate-store")
    moving.add_argument("url")
    for name, default in (("endpoint", ""), ("region", "us-east-1"), ("ca", "")):
        moving.add_argument(f"--{name}", default=default)
    verbs.add_parser("migrate-database", prog="pogo admin:migrate-database").add_argument("url", nargs="?")
    own_verbs(verbs)
    options = parser.parse_args()
    try:
        if options.verb == "doctor":
            return doctor(as_json=options.json)
        if options.verb in OWN:
            _use_own_config()
            OWN[options.verb](options)
        elif options.verb == "migrate-database":
            _use_own_config()
            from pogo.install.database_move import asked, move

            move(asked(options.url))
        elif options.verb == "migrate-store":
            _use_own_config()
            from pogo.install.store_move import from_command_line

            from_command_line(options.url, options.endpoint, options.region, options.ca)
        elif options.verb == "up":
            from pogo.install.up import up

            up(options.checkout)
        else:
            from pogo.install.down import down

            down(options.checkout, keep_dynos=options.keep_dynos, purge=options.purge, yes=options.yes)
    except PogoError as error:
        print("\n" + "\n".join(f" !    {row}" for row in error.message.splitlines()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = f" The next bin/{options.verb} goes on from here." if options.verb in ("up", "down") else ""
        print(f"\n !    Interrupted.{again}", file=sys.stderr)
        return 130
    return 0


def own_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Backups, keys, the state of all."""
    verbs.add_parser("status", prog="pogo admin:status").add_argument("--json", action="store_true")
    reclaiming = verbs.add_parser("reclaim", prog="pogo admin:reclaim")
    for name in ("caches", "json"):
        reclaiming.add_argument(f"--{name}", action="store_true")
    verbs.add_parser("backup", prog="pogo admin:backup")
    verbs.add_parser("recovery-key", prog="pogo admin:backup:key")
    verbs.add_parser("rotate-keys", prog="pogo admin:keys:rotate")
    verbs.add_parser("backups", prog="pogo admin:backups").add_argument("--json", action="store_true")
    drill = verbs.add_parser("drill", prog="pogo admin:drill")
    restore = verbs.add_parser("restore", prog="pogo admin:restore")
    for one, names in ((drill, ("deep", "json")), (restore, ("incomplete", "replace"))):
        one.add_argument("name", nargs="?", default="")
        for name in names:
            one.add_argument(f"--{name}", action="store_true")
    restore.add_argument("--file", default="")


def backups(options: argparse.Namespace) -> None:
    from pogo.install import backups

    verb = options.verb
    if verb == "backup":
        backups.take()
    elif verb == "recovery-key":
        backups.show_key()
    elif verb == "backups":
        backups.show(as_json=options.json)
    else:
        backups.drill(options.name, deep=options.deep, as_json=options.json)


def restore(options: argparse.Namespace) -> None:
    from pogo.install.restore import restore

    restore(options.name, options.file, replace=options.replace, incomplete=options.incomplete)


def status(options: argparse.Namespace) -> None:
    from pogo.install.status import show

    show(as_json=options.json)


def reclaim(options: argparse.Namespace) -> None:
    from pogo.install.reclaim import reclaim

    reclaim(caches=options.caches, as_json=options.json)


def rotate(_: argparse.Namespace) -> None:
    from pogo.install.key_rotation import rotate

    rotate()


OWN = {
    **dict.fromkeys(("backup", "recovery-key", "backups", "drill"), backups),
    "restore": restore,
    "rotate-keys": rotate,
    "status": status,
    "reclaim": reclaim,
}


def doctor(*, as_json: bool) -> int:
    """The settings are those of the installation whose program this is; they are read when modules are loaded."""
    _use_own_config()
    from pogo.install.doctor import check, report

    found = report.examine()
    if as_json:
        print(check.as_json(found))
    else:
        check.show(found)
    return check.status(found)


def _use_own_config() -> None:
    os.environ["POGO_CONFIG"] = with_config(os.environ, Path(sys.prefix)).get("POGO_CONFIG", DEFAULT_CONFIG)


if __name__ == "__main__":
    sys.exit(main())
