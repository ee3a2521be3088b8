"""``doctor``: do storage, ledger and catalog agree, and is the machine fit? Reads only, unless told to repair."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, human_bytes
from lakeray.feed import merge_budget
from lakeray.ports.committer import Committer
from lakeray.ports.storage import RawStore
from lakeray.run import Lakeray
from lakeray.settings.values import Settings, StreamSettings
from lakeray.steps.audit import Finding, FindingKind, audit, leftovers, row_findings
from lakeray.steps.discover import list_since
from lakeray.steps.merge import catch_up
from lakeray.values.errors import UsageError, nearest
from lakeray.values.model import Removal, SourceFile, StreamName

_HARMLESS = (FindingKind.NOT_TRANSFORMED, FindingKind.LEFTOVER, FindingKind.WITHOUT_KEY, FindingKind.CURSOR_BREAKS)
FORGET = "would be forgotten", "forgotten; the next feed takes in what is there"
MENDABLE = {
    FindingKind.GONE: FORGET,
    FindingKind.CHANGED: FORGET,
    FindingKind.NOT_REGISTERED: FORGET,
    FindingKind.NOT_IN_LEDGER: FORGET,
    FindingKind.TWICE: FORGET,
    FindingKind.ROWS_DIFFER: FORGET,
    FindingKind.NOT_TRANSFORMED: ("would be merged", "merged"),
    FindingKind.LEFTOVER: ("would be deleted", "deleted"),
}
"""What a repair does to a finding of the kind, before and after it is done."""
LEFT_AFTER = timedelta(days=1)
"""What has not changed for so long belongs to no command that runs."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print versions, places, the lease's holder and every disagreement; exits 1 when data is at stake."""
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open."""
    findings = [finding for stream in app.streams() for finding in examine(app, stream)]
    findings += left_behind(app)
    warned = app.reader.row_warnings()
    findings += [finding for stream in app.streams() for finding in row_findings(stream.name, warned)]
    if app.settings.repair is not None:
        return repair(app, findings, kind=app.settings.repair, out=out)
    facts = facts_of(app)
    document = {
        "facts": facts,
        "findings": [
            {"kind": str(item.kind), "stream": _of(item), "path": item.path, "detail": item.detail} for item in findings
        ],
    }
    tables = [Table(title="Facts", columns=("what", "found"), rows=tuple(facts.items()))]
    if findings:
        rows = tuple((str(item.kind), _of(item), item.path, item.detail) for item in findings)
        tables.append(Table(title="Findings", columns=("kind", "stream", "path", "detail"), rows=rows))
    out.result(document, tables, text="" if findings else "Storage, ledger and catalog agree.")
    return 1 if any(item.kind not in _HARMLESS for item in findings) else 0


def facts_of(app: Lakeray) -> dict[str, str]:
    """Versions, places, who holds the lease, and how far the clocks are apart."""
    skews = app.machine.clock_skews(now=app.clock.now())
    return {
        **app.machine.versions(),
        "DuckLake catalog": app.reader.catalog_version() or "not made yet",
        "free disk under paths.root": human_bytes(app.machine.free_bytes()),
        "lease": app.machine.lease_holder() or "free",
        **_kept(app),
        **{f"clock, ahead of that of {name}": f"{ahead_s:+.1f} s" for name, ahead_s in skews.items()},
    }


def _kept(app: Lakeray) -> dict[str, str]:
    kept = {stream.name: app.reader.kept_files(stream.name) for stream in app.streams()}
    return {f"raw objects that stay, {name}": f"{files:,}" for name, files in kept.items() if files}


def examine(app: Lakeray, stream: StreamSettings) -> Sequence[Finding]:
    """The disagreements of one stream. Lists its whole prefix."""
    name = stream.name
    return audit(
        name,
        ledger=app.reader.registered(name, first=date.min, last=date.max),
        registered=app.reader.landing_paths(name),
        objects={file.key: file for file in list_since(app.store, name, since=None)},
        transformed_snapshot=app.reader.cursor(name).transformed_snapshot,
    )


def left_behind(app: Lakeray) -> Sequence[Finding]:
    """What killed commands left: files below DATA_PATH that the catalog does not know, and temporary ones."""
    before = app.clock.now() - LEFT_AFTER
    lake, temp = _places(app)
    ours = (file for file in lake.list_files("") if _is_made_by_a_lake(file))
    in_lake = leftovers(ours, known_paths=app.reader.data_file_paths(), before=before, url=lake.url)
    return in_lake + leftovers(temp.list_files(""), known_paths=(), before=before, url=temp.url)


def _places(app: Lakeray) -> tuple[RawStore, RawStore]:
    return app.machine.lake_files(), app.machine.temporary_files()


def _is_made_by_a_lake(file: SourceFile) -> bool:
    # Whatever else somebody keeps there is none of our business.
    return file.key.startswith("converted/") or file.key.rpartition("/")[2].startswith("ducklake-")


def _of(finding: Finding) -> str:
    return "*" if finding.stream is None else str(finding.stream)


def repair(app: Lakeray, findings: Sequence[Finding], *, kind: str, out: Output) -> int:
    """Mend one kind of finding, or all of them.

    Raises:
        UsageError: no such kind.
    """
    kinds = [str(item) for item in MENDABLE]
    if kind not in (*kinds, "all"):
        raise UsageError("repair", expected=f"{', '.join(kinds)} or all", found=repr(kind), todo=nearest(kind, kinds))
    chosen = [item for item in findings if item.kind in MENDABLE and kind in ("all", str(item.kind))]
    dry_run = app.settings.doctor.dry_run
    if chosen and not dry_run:
        with app.committer() as committer:
            _mend_all(app, committer, chosen)
    lines = [f"{item.path}: {item.kind}: {MENDABLE[item.kind][0 if dry_run else 1]}" for item in chosen]
    document = {
        "dry_run": dry_run,
        "mended": [{"kind": str(item.kind), "stream": _of(item), "path": item.path} for item in chosen],
    }
    out.result(document, text="\n".join(lines) or "Nothing to mend.")
    return 0


def _mend_all(app: Lakeray, committer: Committer, findings: Sequence[Finding]) -> None:
    """First what is to be forgotten: dbt cannot read it."""
    by_stream: dict[StreamName, list[Finding]] = {}
    for finding in findings:
        if finding.stream is not None and MENDABLE[finding.kind] == FORGET:
            by_stream.setdefault(finding.stream, []).append(finding)
    for stream, found in sorted(by_stream.items()):
        _forget(app, committer, stream, found)
    waiting = {item.stream for item in findings if item.kind is FindingKind.NOT_TRANSFORMED}
    for rules in (app.rules(stream) for stream in app.streams() if stream.name in waiting):
        merging = merge_budget(rules, app.events)
        catch_up(rules.stream, marks=app.reader, committer=committer, merging=merging)
    if any(item.kind is FindingKind.LEFTOVER for item in findings):
        _delete_leftovers(app)


def _delete_leftovers(app: Lakeray) -> None:
    # Looked for again: with the lease nobody can commit a file that was unknown a moment ago.
    wanted = {finding.path for finding in left_behind(app)}
    for place in _places(app):
        for file in place.list_files(""):
            if place.url(file.key) in wanted:
                place.delete(file.key)


def _forget(app: Lakeray, committer: Committer, stream: StreamName, findings: Sequence[Finding]) -> None:
    named = {item.path for item in findings}
    live = app.reader.registered(stream, first=date.min, last=date.max)
    entries = [entry for entry in live if entry.key in named or entry.registered_path in named]
    known = {entry.key for entry in entries}
    paths = {entry.registered_path for entry in entries} | {path for path in named if path not in known}
    committer.forget(stream, paths=sorted(paths), entries=entries, reason=Removal.REPAIR)
