"""``clean``: retention, through the catalog alone (P13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, human_bytes, refused_json, refused_lines
from lakeray.feed import remove
from lakeray.planning import plan_clean
from lakeray.run import Lakeray
from lakeray.settings.values import Settings
from lakeray.values.model import CleanPlan, LedgerEntry


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Take out what the retention says; ``clean.dry_run=true`` only lists it."""
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open."""
    dry_run = app.settings.clean.dry_run
    plans = [plan_clean(app.rules(stream), reader=app.reader, store=app.store) for stream in app.streams()]
    deleted = [] if dry_run else _cleaned(app, plans)
    refused = app.settings.refused
    words = "\n".join([_words(plans, deleted, dry_run=dry_run), *refused_lines(refused)])
    document = _document(plans, deleted, dry_run=dry_run) | refused_json(refused)
    out.result(document, [_table(plans)], text=words)
    return 1 if refused else 0


def _cleaned(app: Lakeray, plans: Sequence[CleanPlan]) -> Sequence[str]:
    """Take it out; returns what storage lost."""
    with app.committer() as committer:
        for plan in plans:
            remove(plan, committer)
        # After the lease was taken, which is a snapshot too: one that still shows the files keeps the objects.
        return committer.expire(older_than=app.clock.now() - timedelta(days=app.settings.retention.snapshot_days))


def _document(plans: Sequence[CleanPlan], deleted: Sequence[str], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "streams": [
            {
                "source": plan.stream.source,
                "stream": plan.stream.stream,
                "before": None if plan.before is None else plan.before.isoformat(),
                "files": [entry.key for entry in plan.files],
                "kept": [entry.key for entry in plan.kept],
                "rows": sum(entry.rows for entry in plan.files),
            }
            for plan in plans
        ],
        "objects_deleted": list(deleted),
    }


def _table(plans: Sequence[CleanPlan]) -> Table:
    return Table(
        title="Clean",
        columns=("stream", "days before", "files", "size", "rows", "objects kept"),
        rows=tuple(
            (
                str(plan.stream),
                "-" if plan.before is None else plan.before.isoformat(),
                f"{len(plan.files):,}",
                human_bytes(sum(entry.size_bytes for entry in plan.files)),
                f"{sum(entry.rows for entry in plan.files):,}",
                f"{len(plan.kept):,}",
            )
            for plan in plans
        ),
    )


def _words(plans: Sequence[CleanPlan], deleted: Sequence[str], *, dry_run: bool) -> str:
    files, kept = sum(len(plan.files) for plan in plans), sum(len(plan.kept) for plan in plans)
    stay = f" (the objects of {kept:,} stay)" if kept else ""
    if dry_run:
        head = f"{files:,} files would leave landing{stay}."
        return "\n".join([head, *(_line(plan, entry) for plan in plans for entry in plan.files)])
    return f"{files:,} files left landing{stay}; deleted {len(deleted):,} objects."


def _line(plan: CleanPlan, entry: LedgerEntry) -> str:
    return f"{entry.key} (kept)" if entry in plan.kept else entry.key
