"""``sample``: realistic Airbyte-shaped Parquet for the configured streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakeray import wiring
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, human_bytes, refused_json, refused_lines
from lakeray.run import Lakeray
from lakeray.sample import SampleSettings, SampleStream
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.events import SampleFileWritten
from lakeray.values.model import SampleResult
from lakeray.values.names import folded


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Write every stream's sample; a file that is there is kept."""
    with wiring.opened(settings) as app:
        results = [(stream, write_stream(app, stream)) for stream in app.streams()]
    document: dict[str, Any] = {
        "streams": [
            {
                "source": stream.source,
                "stream": stream.stream,
                "written": result.written,
                "kept": result.kept,
                "bytes": result.size_bytes,
                "rows": result.rows,
            }
            for stream, result in results
        ],
        **refused_json(settings.refused),
    }
    rows = tuple(
        (str(stream.name), f"{r.written:,}", f"{r.kept:,}", human_bytes(r.size_bytes), f"{r.rows:,}")
        for stream, r in results
    )
    table = Table(title="Sample", columns=("stream", "written", "kept", "size", "rows"), rows=rows)
    out.result(document, [table], text="\n".join(refused_lines(settings.refused)))
    return 1 if settings.refused else 0


def write_stream(app: Lakeray, stream: StreamSettings) -> SampleResult:
    """Write one stream's sample, telling each file."""
    options = app.settings.sample
    plan = SampleSettings(
        first_day=options.first_day,
        days=options.days,
        files_per_day=options.files_per_day,
        rows_per_file=options.rows_per_file,
        seed=options.seed,
        syncs_per_day=options.syncs_per_day,
    )
    done = 0

    def tell(key: str, size_bytes: int) -> None:
        nonlocal done
        done += 1
        app.events.emit(
            SampleFileWritten(stream=str(stream.name), key=key, size_bytes=size_bytes, done=done, total=plan.files)
        )

    own = {column.name for column in AIRBYTE_COLUMNS}
    contract = stream.landing_contract()
    return wiring.write_sample(
        app,
        stream=SampleStream(
            name=stream.name,
            fields=tuple(column for column in contract.columns if folded(column.name) not in own),
            primary_key=contract.primary_key,
            cursor_field=None if stream.cursor_field is None else stream.as_written(stream.cursor_field),
        ),
        plan=plan,
        on_file=tell,
    )
