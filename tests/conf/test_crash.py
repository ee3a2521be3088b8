"""The net below everything: a short message, a file for whoever mends it, no secret in either."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from lakeray.cli import main as command_line


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def fails(*_: object) -> int:
        raise RuntimeError("password=hunter2\nsecond line")

    monkeypatch.setattr(command_line, "_run", fails)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_unexpected_is_a_short_message_and_a_file(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["status", "+storage.secret_access_key=hunter2", "output=json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["kind"] == "unexpected"
    assert "Traceback" not in said.err and "RuntimeError" in said.err
    (file,) = broken.glob("lakeray-crash-*.txt")
    assert str(file) in said.err
    text = file.read_text()
    assert "Traceback" in text and "command: status" in text
    assert "hunter2" not in text + said.err + said.out


def test_where_no_file_can_be_written_it_is_said_on_the_spot(
    broken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(broken / "missing"))
    assert command_line.main(["status"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and "hunter2" not in said
