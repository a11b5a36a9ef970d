"""Builds, buildpacks, releases, git."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import ANY_APP, APP, BUILD, BUILDPACK, INDEX, JSON, JSON_J, NAMED, SHELL

COMMANDS = (
    Command("buildpacks", "buildpacks:show", "list the buildpacks of an app", (), (*APP, JSON_J)),
    Command(
        "buildpacks:add",
        "buildpacks:add",
        "add a buildpack",
        (Arg("buildpack", True, BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command("buildpacks:clear", "buildpacks:clear", "remove all buildpacks", (), (*APP, JSON_J)),
    Command(
        "buildpacks:info", "registry:info", "show a registered buildpack", (Arg("buildpack", True, NAMED),), (JSON_J,)
    ),
    Command(
        "buildpacks:mirrors", "registry:mirrors", "list the mirrors that buildpacks are fetched from", (), (JSON_J,)
    ),
    Command(
        "buildpacks:mirrors:add",
        "registry:add_mirror",
        "fetch addresses that begin with a prefix from elsewhere (operator)",
        (Arg("prefix", True, "as https://github.com/"), Arg("url", True, "what takes its place")),
    ),
    Command(
        "buildpacks:mirrors:remove",
        "registry:remove_mirror",
        "remove a mirror (operator)",
        (Arg("prefix", True),),
    ),
    Command(
        "buildpacks:register",
        "registry:register",
        "give a name to a buildpack, or another address (operator)",
        (Arg("buildpack", True, NAMED), Arg("url", True, "git URL, with an optional #ref, or URL of a .tgz")),
        (Flag("description", "d", "what buildpacks:search shows", option=True),),
    ),
    Command(
        "buildpacks:remove",
        "buildpacks:remove",
        "remove a buildpack",
        (Arg("buildpack", help=BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command(
        "buildpacks:search",
        "registry:search",
        "search for registered buildpacks",
        (Arg("term", help="looked for in namespace, name and description"),),
        (
            Flag("description", help="part of the description", option=True),
            Flag("name", help="names, separated by commas", option=True),
            Flag("namespace", help="namespaces, separated by commas", option=True),
        ),
    ),
    Command(
        "buildpacks:set",
        "buildpacks:choose",
        "set a buildpack, the first unless --index says otherwise",
        (Arg("buildpack", True, BUILDPACK),),
        (*APP, INDEX, JSON_J),
    ),
    Command(
        "buildpacks:unregister",
        "registry:unregister",
        "take the name of a buildpack away (operator)",
        (Arg("buildpack", True, NAMED),),
    ),
    Command(
        "buildpacks:versions", "registry:versions", "list versions of a buildpack", (Arg("buildpack", True, NAMED),)
    ),
    Command(
        "builds",
        "builds:show",
        "list the builds of an app",
        (),
        (*APP, JSON, Flag("num", "n", "number of builds (10)", option=True, integer=True)),
        ("builds:list",),
    ),
    Command(
        "builds:cache:purge",
        "builds:purge",
        "delete the build cache of an app; its next build starts from nothing",
        (),
        (*APP, Flag("confirm", "c", "accepted, without effect: nothing is lost but time", option=True)),
    ),
    Command(
        "builds:cancel",
        "builds:cancel",
        "stop a build that waits or runs; the running release stays",
        (Arg("build", help=BUILD),),
        APP,
    ),
    Command("builds:info", "builds:info", "show a build", (Arg("build", help=BUILD),), (*APP, JSON)),
    Command(
        "builds:output",
        "builds:show_output",
        "show what a build printed, and go on until its end",
        (Arg("build", help=BUILD),),
        APP,
    ),
    Command("git:clone", "git:clone", "clone an app's repository", (Arg("DIRECTORY"),), APP),
    Command("git:credentials", "git:credentials", "answer git's question", (Arg("command", True),), hidden=True),
    Command("git:remote", "git:remote", "add the git remote of an app", (), ANY_APP, strict=False),
    Command(
        "releases",
        "releases:show",
        "list the releases of an app",
        (),
        (*APP, JSON, Flag("num", "n", "number of releases (15)", option=True, integer=True)),
    ),
    Command("releases:info", "releases:info", "show a release", (Arg("release", help="v12"),), (*APP, JSON, SHELL)),
    Command("releases:output", "releases:show_output", "show what a release command printed", (Arg("release"),), APP),
    Command("releases:retry", "releases:retry", "run the release command of the latest release again", (), APP[:1]),
    Command(
        "releases:rollback",
        "releases:rollback",
        "go back to a release",
        (Arg("release", help="v12"),),
        APP,
        ("rollback",),
    ),
)
