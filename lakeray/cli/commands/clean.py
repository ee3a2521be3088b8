"""``clean``: retention, through the catalog alone (P13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, human_bytes
from lakeray.settings.values import Settings
from lakeray.steps.clean import plan_clean
from lakeray.values.model import CleanPlan, Removal


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Take out what the retention says; ``clean.dry_run=true`` only lists it."""
    dry_run = settings.clean.dry_run
    with wiring.opened(settings) as app:
        plans = [
            plan_clean(
                stream.name,
                cursor=app.reader.cursor(stream.name),
                reader=app.reader,
                retention_days=app.rules(stream).retention_days,
            )
            for stream in app.streams()
        ]
        deleted: list[str] = []
        if not dry_run:
            with app.committer() as committer:
                for plan in plans:
                    if plan.files:
                        committer.remove(plan.stream, plan.files, reason=Removal.RETENTION)
                # After the lease was taken, which is a snapshot too: one that still shows the files keeps the objects.
                older_than = app.clock.now() - timedelta(days=settings.retention.snapshot_days)
                deleted = list(committer.expire(older_than=older_than))
    out.result(
        _document(plans, deleted, dry_run=dry_run), [_table(plans)], text=_words(plans, deleted, dry_run=dry_run)
    )
    return 0


def _document(plans: Sequence[CleanPlan], deleted: Sequence[str], *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "streams": [
            {
                "source": plan.stream.source,
                "stream": plan.stream.stream,
                "before": None if plan.before is None else plan.before.isoformat(),
                "files": [entry.key for entry in plan.files],
                "rows": sum(entry.rows for entry in plan.files),
            }
            for plan in plans
        ],
        "objects_deleted": list(deleted),
    }


def _table(plans: Sequence[CleanPlan]) -> Table:
    return Table(
        title="Clean",
        columns=("stream", "days before", "files", "size", "rows"),
        rows=tuple(
            (
                str(plan.stream),
                "-" if plan.before is None else plan.before.isoformat(),
                f"{len(plan.files):,}",
                human_bytes(sum(entry.size_bytes for entry in plan.files)),
                f"{sum(entry.rows for entry in plan.files):,}",
            )
            for plan in plans
        ),
    )


def _words(plans: Sequence[CleanPlan], deleted: Sequence[str], *, dry_run: bool) -> str:
    files = sum(len(plan.files) for plan in plans)
    if dry_run:
        return "\n".join([f"{files} files would leave landing.", *(e.key for plan in plans for e in plan.files)])
    return f"{files} files left landing; storage lost {len(deleted)} objects."
