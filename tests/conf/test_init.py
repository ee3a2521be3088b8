"""A new project is whole, holds nothing of ours that an upgrade would change, and loses nothing to a second `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeray import __version__
from lakeray.adapters.dbt.package import PACKAGE
from lakeray.cli import project
from lakeray.cli.commands.generate import drifted
from lakeray.cli.compose import settings_of, stream_names
from lakeray.cli.main import main
from lakeray.cli.parse import parse
from tests.support.real.lake import PROJECT

ALWAYS = {
    ".env.example", ".github/workflows/lakeray.yml", ".gitignore", "README.md", "conf/project.yaml",
    "dbt/dbt_project.yml", "dbt/macros/lakeray.sql",
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is in no project."""
    monkeypatch.delenv(project.HOME, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "dbt_packages" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_a_new_project_has_no_streams_and_the_macros_of_the_installed_version(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init", "mine"]) == 0
    here = elsewhere / "mine"
    assert files(here) == ALWAYS
    assert (here / "dbt/dbt_packages/lakeray").resolve() == PACKAGE
    monkeypatch.chdir(here / "dbt/models/enriched")
    made = settings_of(parse(["feed"]))
    assert (project.found(), list(stream_names(None)), drifted(made)) == (here, [], [])
    assert (made.paths.root, made.retention.delete_existing) == (here / ".lakeray", False)
    assert main(["feed"]) == main(["plan"]) == 2, "nothing was fed, and that is no success"
    assert not (here / ".lakeray").exists()


def test_the_template_is_this_repositorys_own_shop(elsewhere: Path) -> None:
    assert main(["init", "--template", "shop"]) == 0
    made = settings_of(parse(["feed"]))
    assert len(made.streams) == 9 and drifted(made) == []
    assert {"dbt/models/enriched/sales/fct_sales.sql"} < files(elsewhere)
    for path in files(elsewhere) - ALWAYS:
        assert (elsewhere / path).read_bytes() == (PROJECT / path).read_bytes()


def test_a_second_init_keeps_what_is_there(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    mine = elsewhere / "conf/project.yaml"
    mine.write_text("# @package _global_\nretention: {days: 3}\n")
    (elsewhere / "README.md").unlink()
    capsys.readouterr()
    assert main(["init"]) == 0
    told = capsys.readouterr().out
    assert "kept conf/project.yaml" in told and "wrote README.md" in told
    assert settings_of(parse(["feed"])).retention.days == 3


@pytest.mark.parametrize("words", [["--template", "shap"], ["--template"], ["a", "b"], ["--templates"]])
def test_what_init_does_not_know_is_refused(words: list[str], elsewhere: Path) -> None:
    assert main(["init", *words]) == 2
    assert not list(elsewhere.iterdir())


def test_the_packages_version_is_lakerays() -> None:
    assert f"\nversion: {__version__}\n" in (PACKAGE / "dbt_project.yml").read_text(encoding="utf-8")
