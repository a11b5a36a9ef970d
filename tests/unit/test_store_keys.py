"""The keys of the object store lie in a file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pogo.store.s3_signature import BadKeys, Keys


def test_the_file_of_the_keys_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.key"
    with pytest.raises(BadKeys, match="No such file"):
        Keys.read(file)
    file.write_text("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY = b\n")
    file.chmod(0o640)
    with pytest.raises(BadKeys, match="chmod 600"):
        Keys.read(file)
    file.chmod(0o600)
    assert Keys.read(file) == Keys("a", "b")
    assert Keys.read(file) == Keys.read(file)
    file.write_text("AWS_ACCESS_KEY_ID=a\n")
    with pytest.raises(BadKeys, match="AWS_SECRET_ACCESS_KEY"):
        Keys.read(file)
