"""A real ACME server (pebble) with its own DNS, which looks for challenges at the HAProxy of an Edge."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path

from edge_installation import certificate, wait_until

from ports import free_port

PROGRAMS = ("pebble", "pebble-challtestsrv")
# The operator's program for DNS: makes records in pebble's DNS server, and writes down what it was called with.
HOOK = """#!/bin/sh
set -e
echo "$1 $2" >> {log}
[ ! -e {log}.broken ] || {{ echo "no such zone" >&2; exit 3; }}
case $1 in
    set) curl -sf -d "{{\\"host\\": \\"$2.\\", \\"value\\": \\"$3\\"}}" http://127.0.0.1:{port}/set-txt ;;
    delete) curl -sf -d "{{\\"host\\": \\"$2.\\"}}" http://127.0.0.1:{port}/clear-txt ;;
esac
"""


class Pebble:
    """directory: where its files lie. http_port: where it looks for challenges. No name leads there until `point`."""

    def __init__(self, directory: Path, http_port: int) -> None:
        missing = [name for name in PROGRAMS if not shutil.which(name)]
        assert not missing, f"{', '.join(missing)} not installed: apt-get install pebble"
        self.directory = directory
        self.port, self._manage, self._dns = free_port(), free_port(), free_port()
        self.url = f"https://localhost:{self.port}/dir"
        self.ca = directory / "pebble.pem"
        self.ca.write_bytes(certificate("localhost"))
        self.calls = directory / "hook.log"
        self.hook = directory / "hook"
        self.hook.write_text(HOOK.format(log=self.calls, port=self._manage))
        self.hook.chmod(0o755)
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{free_port()}",
            "certificate": str(self.ca),
            "privateKey": str(self.ca),
            "httpPort": http_port,
            "tlsPort": 1,
        }
        (directory / "pebble.json").write_text(json.dumps({"pebble": config}))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        nobody = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""]
        where = ["-dns01", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{self._manage}"]
        self._run("pebble-challtestsrv", *nobody, *where)
        self.start_authority()
        wait_until(lambda: self._ask("clear-a", {"host": "x."}), "pebble's DNS does not start")

    def start_authority(self) -> None:
        """It has forgotten all that it knew."""
        config = str(self.directory / "pebble.json")
        self._run("pebble", "-config", config, "-dnsserver", f"127.0.0.1:{self._dns}", "-strict")
        wait_until(self.answers, "pebble does not start")

    def answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(self.url, context=context, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def point(self, *hosts: str) -> None:
        """These names lead to HAProxy."""
        for host in hosts:
            assert self._ask("add-a", {"host": f"{host}.", "addresses": ["127.0.0.1"]})

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)

    def _run(self, *command: str) -> None:
        # One in ten nonces is refused without need, and every name is looked at again.
        tuned = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10", "PEBBLE_AUTHZREUSE": "0"}
        with (self.directory / f"{command[0]}.log").open("ab") as log:
            self._processes[command[0]] = subprocess.Popen(
                command, env={**os.environ, **tuned}, stdout=log, stderr=log, start_new_session=True
            )

    def _ask(self, verb: str, what: dict[str, object]) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{self._manage}/{verb}", json.dumps(what).encode())
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
