"""``why PATH``: everything known about one raw file."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import why_json, why_verdict
from lakeray.run import Lakeray
from lakeray.settings.values import Settings
from lakeray.steps.discover import horizon
from lakeray.values.errors import UsageError
from lakeray.values.keys import file_day, shown
from lakeray.values.model import Cursor, LedgerEntry, RawPolicy, SourceFile, StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Tell where the file is in its life. Exits 0 also for a file that nobody knows."""
    if len(arguments) != 1:
        raise UsageError("why", expected="one path", found=f"{len(arguments)}", todo="lakeray why shopify/orders/…")
    with wiring.opened(settings) as app:
        return show(app, meant(app, relative_key(settings, arguments[0])), out)


def meant(app: Lakeray, key: str) -> str:
    """The key, or the one that is shown like this: control characters are shown percent-encoded."""
    plain = unquote(key)
    if plain == key or app.reader.history(key) or app.store.exists(key):
        return key
    return plain if app.reader.history(plain) or app.store.exists(plain) else key


def show(app: Lakeray, key: str, out: Output) -> int:
    """The same of one key, of an application that is open."""
    listed = app.store.head(key)
    entries = app.reader.history(key)
    rejected = next((entry for entry in app.reader.quarantined(None) if entry.key == key), None)
    cursor = _cursor(app, key)
    since = horizon(cursor, lookback_days=app.settings.feed.lookback_days, retention_days=_retention_days(app, cursor))
    verdict = why_verdict(
        listed=listed,
        entries=entries,
        rejected=rejected,
        too_late=listed is not None and since is not None and file_day(listed) < since,
        transformed_snapshot=cursor.transformed_snapshot,
        stays=listed is not None and _stays(app, cursor.stream, listed),
    )
    document = why_json(key, listed=listed, entries=entries, rejected=rejected, verdict=verdict)
    out.result(document, text=f"{shown(key)}\n  {verdict}{_details(entries)}")
    return 0


def relative_key(settings: Settings, path: str) -> str:
    """The key of a path, given as a key, as an address, or with the raw prefix in front."""
    base = settings.storage.url.rstrip("/")
    plain = base.removeprefix("file://")
    for prefix in (f"{base}/", f"{plain}/", f"{base.rsplit('/', 1)[-1]}/"):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path


def _cursor(app: Lakeray, key: str) -> Cursor:
    for stream in app.streams():
        if key.startswith(stream.layout.root):
            return app.reader.cursor(stream.name)
    source, _, rest = key.partition("/")
    return app.reader.cursor(StreamName(source, rest.split("/", 1)[0]))


def _retention_days(app: Lakeray, cursor: Cursor) -> int:
    stream = app.settings.streams.get(cursor.stream.slug)
    return app.settings.retention.days if stream is None else app.rules(stream).retention_days


def _stays(app: Lakeray, stream: StreamName, file: SourceFile) -> bool:
    retention = app.settings.retention
    if retention.raw is RawPolicy.KEEP or retention.delete_existing:
        return retention.raw is RawPolicy.KEEP
    return app.reader.existing_among(stream, [file.key]).get(file.key) == file.etag


def _details(entries: Sequence[LedgerEntry]) -> str:
    return "".join(
        f"\n  batch {entry.batch_id}, commit {entry.commit_id}, snapshot {entry.snapshot}, {entry.rows:,} rows, "
        f"taken in {entry.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        for entry in entries
    )
