"""`pogo admin:keys:rotate`: a new key for secrets at rest, and everything under it. Killed anywhere, it goes on."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from cryptography.fernet import Fernet

from pogo.install import backups, parts, places
from pogo.install.progress import line, step


def rotate() -> None:
    """Two lines in secrets.key: a rotation has begun. pogod has to know the new key before it is used."""
    settings, config = backups.here()
    user = pwd.getpwnam(settings.user)
    supervisor = parts.supervisor(settings, Path("/nonexistent"))
    file = settings.state_dir / "keys" / "secrets.key"
    keys = file.read_text().split()
    with step("Keys") as say:
        if len(keys) > 1:
            say("going on with the rotation that was begun")
        else:
            keys = [Fernet.generate_key().decode(), *keys]
            places.write(file, "".join(f"{key}\n" for key in keys), mode=0o600, owner=user.pw_uid, group=user.pw_gid)
        supervisor.start("pogod")  # what runs might have read the file before
        say("encrypting anew")
        found = backups.as_pogod(settings, config, "encrypt")
        places.write(file, f"{keys[0]}\n", mode=0o600, owner=user.pw_uid, group=user.pw_gid)
        os.sync()
        say(f"{found['changed']} secrets are under the new key; the old one is gone")
    line("Backups that exist have the old key in them. Take one now: pogo admin:backup")
