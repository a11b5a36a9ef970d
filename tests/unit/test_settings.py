"""deploy/pogo.conf is the reference of the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pogo.install import configuration
from pogo.install.configuration import BadSetting, recorded
from pogo.settings import Settings

REFERENCE = Path(__file__).parents[2] / "deploy" / "pogo.conf"


def reference() -> dict[str, str]:
    found = re.findall(r"^# (POGO_\w+)=(.*)$", REFERENCE.read_text(), re.MULTILINE)
    assert len(found) == len(dict(found)), "a setting is there twice"
    return dict(found)


def test_the_reference_has_every_setting_with_its_default() -> None:
    defaults = configuration.defaults()
    shown = reference()
    assert shown.keys() == defaults.keys()
    for name, value in shown.items():
        assert value == defaults[name].removesuffix(".0"), name


def test_every_setting_is_explained() -> None:
    paragraphs = REFERENCE.read_text().split("\n\n")
    for paragraph in paragraphs:
        lines = paragraph.splitlines()
        if len([line for line in lines if line.startswith("# POGO_")]) == 1:
            assert len(lines) > 1, paragraph


def test_what_bin_up_is_given_is_recorded_in_the_place_of_the_comment() -> None:
    text = recorded(REFERENCE.read_text(), {"POGO_HTTP_PORT": "8080", "HOME": "/root"})
    assert "\nPOGO_HTTP_PORT=8080\n# POGO_HTTPS_PORT=443\n" in text
    assert text.count("POGO_HTTP_PORT=8080\n") == 1
    again = recorded(text, {"POGO_HTTP_PORT": "8081"})
    assert "\nPOGO_HTTP_PORT=8081\n# POGO_HTTPS_PORT" in again
    assert recorded(again, {"POGO_HTTP_PORT": "8081"}) == again


def test_a_setting_that_the_file_does_not_mention_is_appended() -> None:
    assert recorded("# mine\n", {"POGO_DOMAIN": "example.org"}) == "# mine\nPOGO_DOMAIN=example.org\n"


def test_values_with_blanks_are_quoted_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pogo.conf"
    file.write_text(
        recorded(REFERENCE.read_text(), {"POGO_STATE_DIR": "/srv/two", "POGO_DATABASE_URL": "postgresql://a b"})
    )
    settings = Settings(_env_file=file)  # type: ignore[call-arg]
    assert (settings.database_url, str(settings.state_dir)) == ("postgresql://a b", "/srv/two")
    with pytest.raises(BadSetting, match="line break"):
        recorded("", {"POGO_DATABASE_URL": "a\nb'"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POGO_HTP_PORT", "80", "Did you mean POGO_HTTP_PORT"),
        ("POGO_NONSENSE_AT_ALL", "1", "deploy/pogo.conf"),
        ("POGO_HTTP_PORT", "many", "POGO_HTTP_PORT=many"),
        ("POGO_SUBNET", "10.0.0.1/8", "POGO_SUBNET"),
        ("POGO_STATE_DIR", "relative", "absolute path"),
        ("POGO_STATE_DIR", "/" + "long" * 13, "48"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    name: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=re.escape(said)):
        configuration.load(tmp_path / "none.conf", {name: value})


def test_a_wrong_name_in_the_file_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "pogo.conf"
    file.write_text("POGO_STORE_ULR=files:/srv\n")
    with pytest.raises(BadSetting, match="POGO_STORE_URL"):
        configuration.load(file, {})
