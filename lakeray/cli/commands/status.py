"""``status``: where every stream stands. Works while a feed runs; needs no lease."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import StreamState, row_warning_lines, status_json, status_tables
from lakeray.planning import plan_stream
from lakeray.run import Lakeray, refusal_of
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.errors import LakerayError
from lakeray.values.model import Plan, QuarantineStatus, RowWarning

_QUARANTINED = (QuarantineStatus.REJECTED, QuarantineStatus.RETRY)
"""What waits for an operator is counted as changed."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print the state of every stream and the sizes of the enriched tables.

    Exits 1 when a storage did not answer, does not list what was taken in from it, or is another lake's to delete from.
    """
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open."""
    warned = app.reader.row_warnings()
    states = [state_of(app, stream, warned=warned) for stream in app.streams()]
    enriched = {name: app.reader.table_rows("main", name) for name in enriched_models(app.settings)}
    errors = [f"{state.stream}: {state.error}" for state in states if state.error is not None]
    tables = status_tables(states, enriched=enriched)
    told = [line for state in states for line in row_warning_lines(state)]
    out.result(status_json(states, enriched=enriched), tables, text="\n".join(told + errors))
    return 1 if errors else 0


def state_of(app: Lakeray, stream: StreamSettings, *, warned: Sequence[RowWarning] = ()) -> StreamState:
    """One stream's state; a storage that does not answer is said in it, not raised.

    Args:
        warned: what merges had to say of rows, of all streams.
    """
    name, rules, ports = stream.name, app.rules(stream), app.planning_ports()
    planned: Plan | None = None
    failure: LakerayError | None
    try:
        planned = plan_stream(rules, ports, everything=True)
        failure = refusal_of(app, rules, planned)
    except LakerayError as error:
        failure = error
    registered, snapshot = app.reader.totals(name)
    of_stream = [item for item in warned if item.table == name.processed_table]
    return StreamState(
        stream=name,
        cursor=app.reader.cursor(name),
        plan=planned,
        registered_files=registered,
        registered_snapshot=snapshot,
        quarantined=sum(1 for entry in app.reader.quarantined(name) if entry.status in _QUARANTINED),
        last_batch=app.reader.last_batch(name),
        landing_rows=app.reader.table_rows("staging", name.landing_table),
        processed_rows=app.reader.table_rows("main", name.processed_table),
        kept_files=app.reader.kept_files(name),
        replaced=app.reader.replaced_files(name),
        now=app.clock.now(),
        rows_without_key=sum(item.rows for item in of_stream if item.kind == "without_key"),
        cursor_breaks=sum(item.rows for item in of_stream if item.kind == "cursor_breaks"),
        error=None if failure is None else str(failure),
        left_out=sum(app.reader.contract_notes(name).left_out.values()),
    )


def enriched_models(settings: Settings) -> list[str]:
    """The names of the project's enriched models, without asking dbt."""
    folder = wiring.absolute(settings.dbt.project_dir) / "models" / "enriched"
    return sorted(path.stem for path in Path(folder).rglob("*.sql") if re.match(r"^[a-z]\w*$", path.stem))
