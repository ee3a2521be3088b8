"""A stream whose config is refused is told by its key, and stops no other (issue 13.1)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from lakeray.cli.commands import generate
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError

PLAIN = (
    "# @package streams.SOURCE__STREAM\nsource: SOURCE\nstream: STREAM\n"
    "primary_key: [id]\ncursor_field: null\nfields: {id: BIGINT}\n"
)
GLOBAL = (
    "# @package _global_\nstreams: {SOURCE__STREAM: {source: SOURCE, stream: STREAM, primary_key: [id], "
    "cursor_field: null, fields: {id: BIGINT}}}\n"
)
GOOD = ["other__good", "shop__good"]
AT = "streams.shop__STREAM"
FILE = "conf/stream/shop/STREAM.yaml"
ODD_NAMES = ["Bad", "a b", "a,b", "é", "a=b", "[x]", "${a}", "a.b", "it's", "line\nbreak", "\x7f"]


def changed(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new)


REFUSED: dict[str, tuple[str | bytes, str, str]] = {
    "misspelt": (PLAIN + "primary_kez: [id]\n", f"{AT}.primary_kez", "Did you mean primary_key?"),
    "in_batch": (PLAIN + "batch: {max_file: 3}\n", f"{AT}.batch.max_file", "max_files"),
    "out_of_range": (PLAIN + "batch: {max_files: 0}\n", f"{AT}.batch.max_files", "at least 1"),
    "retention": (PLAIN + "retention: {days: -1}\n", f"{AT}.retention.days", "at least 0"),
    "own": (changed("{id: BIGINT}", "{id: BIGINT, _lakeray_x: BIGINT}"), f"{AT}.fields._lakeray_x", "_lakeray_"),
    "no_name": (changed("{id: BIGINT}", "{id: BIGINT, '': BIGINT}"), f"{AT}.fields.''", "an empty name"),
    "nul_name": (changed("{id: BIGINT}", '{id: BIGINT, "a\\0": BIGINT}'), f"{AT}.fields.'a\\x00'", "NUL"),
    "no_type": (changed("{id: BIGINT}", "{id: NUMBER}"), f"{AT}.fields.id", "a type that a DuckLake"),
    "no_key": (changed("[id]", "[key]"), f"{AT}.primary_key", "names of fields"),
    "tab": (PLAIN + "\tx: 1\n", FILE, "in line 7"),
    "twice": (PLAIN + "source: shop\n", FILE, "duplicate key"),
    "alias": (PLAIN + "x: [*b]\n", FILE, "undefined alias"),
    "bytes": (PLAIN.encode() + b"x: \xff\n", f"{FILE}: settings", "utf-8"),
    "nul": (PLAIN.encode() + b"x: \0\n", f"{FILE}: settings", "unacceptable character"),
    "deep": (PLAIN + "x: " + 2000 * "[" + 2000 * "]", f"{FILE}: settings", "recursion"),
    "nothing": (PLAIN + "x: ${nothing}\n", f"{FILE}: settings", "'nothing' not found"),
    "open": (PLAIN + "x: ${\n", f"{FILE}: settings", ""),
    "defaults": (PLAIN + "defaults: [absent]\n", f"{FILE}: stream/shop/absent", "a config of this name"),
    "missing": (changed("primary_key: [id]\n", ""), f"{AT}.primary_key", "a value"),
    "list": ("# @package streams.shop__STREAM\n- a\n", AT, "a mapping"),
    "empty": ("", FILE, "# @package streams.shop__empty"),
    "unpacked": (changed("# @package streams.SOURCE__STREAM\n", ""), FILE, "# @package streams.shop__unpacked"),
    "anothers": (changed("streams.SOURCE__STREAM", "streams.shop__good"), FILE, "# @package streams.shop__anothers"),
    "named_so": (changed("stream: STREAM", "stream: good"), FILE, "found the stream shop/good"),
    "upper": (changed("stream: STREAM", "stream: Upper"), AT, "lower-case names"),
    "global": (GLOBAL + "batch: 3\n", f"{FILE}: batch", "a mapping"),
    "range": (GLOBAL + "feed: {poll_s: -1}\n", f"{FILE}: feed.poll_s", "at least 0"),
}  # fmt: skip


def write(root: Path, text: str | bytes, stream: str, source: str = "shop") -> Path:
    path = root / f"conf/stream/{source}/{stream}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(whole.replace(b"STREAM", stream.encode()).replace(b"SOURCE", source.encode()))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of two sound streams."""
    root = tmp_path_factory.mktemp("project")
    (root / "conf").mkdir()
    (root / "conf/project.yaml").write_text("{}\n")
    write(root, PLAIN, "good")
    write(root, PLAIN, "good", source="other")
    with patch.dict(os.environ, {"LAKERAY_HOME": str(root)}):
        yield root


@contextmanager
def written(root: Path, texts: Mapping[str, str | bytes]) -> Iterator[None]:
    """Further streams, for a while."""
    paths = [write(root, text, stream) for stream, text in texts.items()]
    try:
        yield
    finally:
        for path in paths:
            path.unlink()


def settings(root: Path, *words: str) -> Settings:
    return settings_of(parse(["feed", f"dbt.project_dir={root}/dbt", *words]))


@pytest.fixture(scope="module")
def all_refused(project: Path) -> Mapping[str, UsageError]:
    """The errors of all these streams at once, by stream; the sound ones are there."""
    texts = {name: text for name, (text, _, _) in REFUSED.items()}
    with written(project, texts | dict.fromkeys(ODD_NAMES, PLAIN)):
        made = settings(project)
    assert sorted(made.streams) == GOOD
    return {item.name.stream: item.error for item in made.refused}


@pytest.mark.parametrize("name", REFUSED)
def test_a_config_that_is_refused_fails_its_stream_alone(all_refused: Mapping[str, UsageError], name: str) -> None:
    _, about, told = REFUSED[name]
    error = all_refused[name]
    assert error.exit_code == 2 and error.about.endswith(about.replace("STREAM", name)), str(error)
    assert told in str(error) and error.todo, str(error)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_whose_name_no_stream_can_have_stops_no_other(all_refused: Mapping[str, UsageError], name: str) -> None:
    error = all_refused[name]
    assert error.about.startswith("conf/stream/shop/") and "lower-case names" in error.expected
    assert error.about.isprintable()


def test_named_alone_it_is_wrong_usage_and_beside_others_it_fails_alone(project: Path) -> None:
    with written(project, {"misspelt": REFUSED["misspelt"][0]}):
        with pytest.raises(UsageError) as alone:
            settings(project, "+stream=shop/misspelt")
        assert alone.value.about == "streams.shop__misspelt.primary_kez"
        both = settings(project, "+stream=[shop/misspelt,shop/good]")
        assert sorted(both.streams) == ["shop__good"] and [str(item.name) for item in both.refused] == ["shop/misspelt"]
        assert settings(project, "+stream=shop/good").refused == ()


def test_two_streams_that_would_read_one_folder_are_both_refused_and_no_other_is(project: Path) -> None:
    shared = PLAIN + "path: shop/shared/${YEAR}_${MONTH}_${DAY}_${EPOCH}_\n"
    with written(project, {"left": shared, "right": shared}):
        made = settings(project)
        assert sorted(made.streams) == GOOD
        assert [str(item.name) for item in made.refused] == ["shop/left", "shop/right"]
        assert "read by" in str(made.refused[0].error)
        assert sorted(settings(project, "+stream=shop/left").streams) == ["shop__left"]


@pytest.mark.parametrize(
    ("word", "about"),
    [
        ("streams.shop__good.batch.max_files=0", "streams.shop__good.batch.max_files"),
        ("streams.shop__misspelt.batch.max_files=0", "streams.shop__misspelt."),
        ("feed.poll_s=-1", "feed.poll_s"),
        ("feed.pol_s=1", "feed.pol_s"),
        ("+stream=shop/nothing", "stream shop/nothing"),
        ("+stream=[]", "stream"),
    ],
)
def test_what_the_command_line_says_wrongly_is_wrong_usage(project: Path, word: str, about: str) -> None:
    with written(project, {"misspelt": REFUSED["misspelt"][0], "tab": REFUSED["tab"][0]}):
        with pytest.raises(UsageError) as wrong:
            settings(project, word)
    assert wrong.value.about.startswith(about)


def test_generate_leaves_what_is_there_of_a_refused_stream(project: Path, tmp_path: Path) -> None:
    with written(project, {"late": PLAIN}):
        whole = generate.wanted(settings(tmp_path))
        for name, text in whole.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(text.encode())
        write(project, PLAIN + "primary_kez: [id]\n", "late")
        refused = settings(tmp_path)
        assert generate.drifted(refused) == []
        kept = generate.wanted(refused)
    own = {"dbt/landing/shop/stg_shop__late.sql", "dbt/models/processed/shop/int_shop__late.sql"}
    assert whole.keys() - kept.keys() == own
    assert kept == {name: whole[name] for name in kept}
    assert "shop__late" not in "".join(generate.wanted(settings(tmp_path)).values())
