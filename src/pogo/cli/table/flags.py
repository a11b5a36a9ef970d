"""Flags and arguments that several commands have, and words that say what is meant by one."""

from __future__ import annotations

from pogo.cli.parser import Arg, Flag

REMOTE = Flag("remote", "r", "git remote of the app to use", option=True)
APP = (Flag("app", "a", "app to run the command against", option=True, required=True), REMOTE)
ANY_APP = (Flag("app", "a", "app to run the command against", option=True), REMOTE)
JSON = Flag("json", help="show the result as JSON")
JSON_J = Flag("json", "j", "show the result as JSON")
SHELL = Flag("shell", "s", "show the result in shell format")
DYNO = Flag("dyno-name", "d", "only this dyno, as web.1", option=True)
TYPE = Flag("process-type", "p", "only dynos of this type", option=True, excludes=("dyno-name",))
INSIDE = Flag("dyno", "d", "the dyno (web.1)", option=True)
INDEX = Flag("index", "i", "1-based position in the list", option=True)
HIDDEN_APP = Arg("app", help="app to run the command against")
FEATURE = Arg("feature", True)
PEM = (Arg("CRT", True, "file with the certificate and its chain"), Arg("KEY", True, "file with the private key"))
CONFIRM = Flag("confirm", help="the app's name, instead of the question", option=True, hidden=True)
CONFIRM_C = CONFIRM._replace(char="c")
ENDPOINT = (
    Flag("endpoint", help="the certificate of this host", option=True),
    Flag("name", help="the certificate's name", option=True),
)
BUILD = "its number or id; the latest one if none is given"
BUILDPACK = "name (heroku/python) or git URL"
NAMED = "name, as heroku/python"
CREATE_FLAGS = (
    Flag("app", help="name of the new app", option=True, hidden=True),
    Flag("buildpack", "b", BUILDPACK, option=True),
    JSON,
    Flag("no-remote", "n", "do not create a git remote"),
    Flag("region", help="region of the app", option=True),
    Flag("remote", "r", "name of the git remote to create (pogo)", option=True),
    Flag("stack", "s", "stack of the app", option=True),
    Flag("team", "t", "the team that owns the app", option=True),
    Flag("locked", help="members of the team cannot join it by themselves"),
)
ENV = Flag("env", "e", "environment variables, as 'A=1;B=2'", option=True)
SIZE = Flag("size", "s", "dyno size", option=True)
NO_TTY = Flag("no-tty", help="no terminal, as with a pipe")
RUN_FLAGS = (
    *APP,
    ENV,
    Flag("no-launcher", help="accepted, without effect: there is no launcher here"),
    SIZE,
    Flag("type", help="process type whose settings to use", option=True),
)
