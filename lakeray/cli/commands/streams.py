"""``streams``: what is configured, without asking storage or lake."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray.cli.terminal import Output
from lakeray.cli.words import Table
from lakeray.settings.values import Settings


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """List the configured streams: where their files lie, their key, their cursor, their tables."""
    streams = sorted(settings.streams.values(), key=lambda stream: stream.name)
    document = {
        "streams": [
            {
                "stream": str(stream.name),
                "root": stream.layout.root,
                "path": stream.path,
                "primary_key": list(stream.primary_key),
                "cursor_field": stream.cursor_field,
                "fields": len(stream.fields),
                "exclude": list(stream.exclude),
                "landing_table": f"staging.{stream.name.landing_table}",
                "processed_table": f"main.{stream.name.processed_table}",
            }
            for stream in streams
        ]
    }
    rows = tuple(
        (
            str(stream.name),
            stream.layout.root,
            ", ".join(stream.primary_key),
            stream.cursor_field or "-",
            f"{len(stream.fields)}",
            f"main.{stream.name.processed_table}",
        )
        for stream in streams
    )
    columns = ("stream", "files below", "key", "cursor", "fields", "table")
    text = "" if rows else "No stream is configured: lakeray new-stream SOURCE/STREAM --from-files"
    out.result(document, [Table(title="Streams", columns=columns, rows=rows)] if rows else [], text=text)
    return 0
