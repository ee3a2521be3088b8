"""``drop-stream``: a stream's tables, bookkeeping and generated files go; its raw files stay. Dry run first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lakeray import wiring
from lakeray.cli import project
from lakeray.cli.commands.generate import place_of, wanted
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table
from lakeray.planning import owner_of
from lakeray.run import Lakeray
from lakeray.settings.values import Settings
from lakeray.steps.ownership import owner_in
from lakeray.streams.generated import is_generated
from lakeray.values.errors import UsageError, nearest
from lakeray.values.keys import CLAIM
from lakeray.values.layouts import Layout
from lakeray.values.model import StreamName

_USAGE = "lakeray drop-stream SOURCE/STREAM, and --yes to do it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """What a drop takes away."""

    tables: Mapping[str, int]
    """Tables of the lake, and their rows."""
    books: Mapping[str, int]
    """Bookkeeping, and its rows."""
    files: Sequence[str]
    """Files of the project."""
    own: Sequence[str]
    """Files of the project that the user wrote: they stay."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Tell what would go; with ``--yes`` let it go."""
    name = named(arguments)
    with wiring.opened(settings) as app:
        known = {stream.name for stream in app.streams()} | set(app.reader.streams())
        if name not in known:
            names = [str(each) for each in sorted(known)]
            raise UsageError(
                f"stream {name}",
                expected="a stream that is configured, or one that the lake has tables of",
                found="none of this name",
                todo=nearest(str(name), names) or f"There are {', '.join(names) or 'none'}",
            )
        return show(app, name, out, home=project.found(), yes="--yes" in arguments)


def named(arguments: Sequence[str]) -> StreamName:
    """The stream of the command line.

    Raises:
        UsageError: there is none, or more than one.
    """
    words = [word for word in arguments if not word.startswith("--")]
    source, _, stream = words[0].partition("/") if len(words) == 1 else ("", "", "")
    if not source or not stream:
        raise UsageError("drop-stream", expected=_USAGE, found=" ".join(arguments) or "nothing")
    return StreamName(source, stream)


def show(app: Lakeray, name: StreamName, out: Output, *, home: Path, yes: bool) -> int:
    """The same of an application that is open."""
    texts = _texts(app.settings, name)
    doomed = _doomed(app, name, texts, home=home)
    if yes:
        _drop(app, name)
        for path, text in texts.items():
            if path in doomed.files:
                _write(_place(app.settings, path, home=home), text)
    document = {
        "dry_run": not yes,
        "stream": str(name),
        "tables": dict(doomed.tables),
        "bookkeeping_rows": dict(doomed.books),
        "project_files": list(doomed.files),
        "left_files": list(doomed.own),
    }
    rows = [("table", table, f"{count:,} rows") for table, count in doomed.tables.items()]
    rows += [("bookkeeping", table, f"{count:,} rows") for table, count in doomed.books.items()]
    rows += [("file", path, "changed" if texts[path] is not None else "deleted") for path in doomed.files]
    title = f"{name}: {'gone' if yes else 'what would go'}"
    out.result(
        document,
        [Table(title=title, columns=("what", "name", "how much"), rows=tuple(rows))],
        text=_words(name, doomed, place=app.store.url(_layout(app, name).root), yes=yes),
    )
    return 0


def _words(name: StreamName, doomed: Doomed, *, place: str, yes: bool) -> str:
    lines = [f"yours, and stays: {path}" for path in doomed.own]
    lines.append(f"The raw files below {place} stay.")
    if not yes:
        lines.append(f"Do it: lakeray drop-stream {name} --yes")
    elif doomed.tables:
        lines.append("Models of your own that read its tables fail from now on.")
    return "\n".join(lines)


def _layout(app: Lakeray, name: StreamName) -> Layout:
    stream = app.settings.streams.get(name.slug)
    return Layout.of(name) if stream is None else stream.layout


def _doomed(app: Lakeray, name: StreamName, texts: Mapping[str, str | None], *, home: Path) -> Doomed:
    reader = app.reader
    own = {
        ("staging", name.landing_table),
        ("main", name.processed_table),
        ("main", f"{name.processed_table}__tombstones"),
    }
    tables = {f"{place[0]}.{place[1]}": found.rows for place, found in reader.tables().items() if place in own}
    live = len(reader.registered(name, first=date.min, last=date.max))
    books = {
        "files that are registered": live,
        "files that were ever taken in": reader.totals(name)[0],
        "quarantine": len(reader.quarantined(name)),
    }
    files: list[str] = []
    left: list[str] = []
    for path, text in texts.items():
        target = _place(app.settings, path, home=home)
        if not target.exists():
            continue
        have = target.read_bytes().decode()
        is_ours = path.startswith("conf/") or is_generated(have)
        if have != text:
            (files if is_ours else left).append(path)
    return Doomed(
        tables=tables,
        books={book: rows for book, rows in books.items() if rows},
        files=tuple(files),
        own=tuple(left),
    )


def _texts(settings: Settings, name: StreamName) -> dict[str, str | None]:
    """The project's files that are about the stream, and what is left of each; None when nothing is."""
    if name.slug not in settings.streams:
        return {}
    after = wanted(settings, without=name)
    found = {path: after.get(path) for path, text in wanted(settings).items() if after.get(path) != text}
    return {f"conf/stream/{name.source}/{name.stream}.yaml": None, **found}


def _place(settings: Settings, path: str, *, home: Path) -> Path:
    return home / path if path.startswith("conf/") else place_of(settings, path)


def _write(target: Path, text: str | None) -> None:
    if text is None:
        target.unlink()
    else:
        target.write_bytes(text.encode())


def _drop(app: Lakeray, name: StreamName) -> None:
    """First the lake, then the claim, then the project's files: cut off in between, the command is run again."""
    lake = owner_of(app.reader, catalog=app.catalog).lake
    if not lake:
        return
    with app.committer() as committer:
        committer.drop_stream(name)
    key = _layout(app, name).root + CLAIM
    claim = app.store.read_whole(key)
    if claim is not None and owner_in(claim).lake == lake:
        app.store.delete(key)  # this lake deletes nothing there any more
