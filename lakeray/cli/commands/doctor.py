"""``doctor``: do storage, ledger and catalog agree, and is the machine fit? Reads only, unless told to repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from lakeray import wiring
from lakeray.cli.compose import stream_names
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table, human_bytes
from lakeray.feed import merge_budget
from lakeray.planning import owner_of
from lakeray.ports.committer import Committer
from lakeray.ports.storage import RawStore
from lakeray.run import Lakeray
from lakeray.settings.values import Settings, StreamSettings
from lakeray.steps.audit import (
    Finding,
    FindingKind,
    audit,
    gone_files,
    leftovers,
    refused_config,
    row_findings,
    without_config,
)
from lakeray.steps.discover import list_since, without_claims
from lakeray.steps.merge import catch_up
from lakeray.steps.ownership import others
from lakeray.values.errors import UsageError, nearest
from lakeray.values.model import RawPolicy, Removal, SourceFile, StreamName

_NOTHING_TO_MEND = (FindingKind.WITHOUT_KEY, FindingKind.CURSOR_BREAKS, FindingKind.WITHOUT_STREAM)
"""Something to know."""
_HARMLESS = (FindingKind.NOT_TRANSFORMED, FindingKind.LEFTOVER, *_NOTHING_TO_MEND)
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
    FindingKind.DATA_FILE_GONE: FORGET,
}
"""What a repair does to a finding of the kind, before and after it is done."""
LEFT_AFTER = timedelta(days=1)
"""What has not changed for so long belongs to no command that runs."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print versions, places, the lease's holder and every disagreement; exits 1 when data is at stake."""
    with wiring.opened(settings) as app:
        return show(app, out, configured=[StreamName(*name.split("/")) for name in stream_names(None)])


def show(app: Lakeray, out: Output, *, configured: Iterable[StreamName] = ()) -> int:
    """The same, of an application that is open.

    Args:
        configured: streams that there are beside those that the command is about.
    """
    findings = [finding for stream in app.streams() for finding in examine(app, stream)]
    findings += [refused_config(item.name, item.error) for item in app.settings.refused]
    findings += below_data_path(app)
    warned = app.reader.row_warnings()
    findings += [finding for stream in app.streams() for finding in row_findings(stream.name, warned)]
    streams = {*configured, *(stream.name for stream in app.streams())}
    findings += without_config(app.reader.streams(), configured=streams)
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
        "lake": app.reader.lake_id() or "not made yet",
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
    name, claims = stream.name, list[SourceFile]()
    ledger = app.reader.registered(name, first=date.min, last=date.max)  # asked first: a long listing may follow
    objects = {file.key: file for file in without_claims(list_since(app.store, stream.layout, since=None), into=claims)}
    found = audit(
        name,
        ledger=ledger,
        registered=app.reader.landing_paths(name),
        objects=objects,
        transformed_snapshot=app.reader.cursor(name).transformed_snapshot,
    )
    return [*_owned_by_others(app, stream, claims), *found]


def _owned_by_others(app: Lakeray, stream: StreamSettings, claims: Sequence[SourceFile]) -> Iterator[Finding]:
    """Claims of other lakes, where this one deletes, too."""
    rules = app.rules(stream)
    if rules.raw.raw is RawPolicy.KEEP:
        return
    for key, owner in others(app.store, claims, owner=owner_of(app.reader, catalog=app.catalog)):
        yield Finding(
            kind=FindingKind.OWNED_BY_ANOTHER,
            stream=stream.name,
            path=app.store.url(key),
            detail=f"{owner} deletes the objects below",
        )


def below_data_path(app: Lakeray) -> Sequence[Finding]:
    """Files that tables need and that are gone, and what killed commands left, temporary files too."""
    lake, _ = _places(app)
    # The catalog first: a file that is committed in between is not missed.
    live = app.reader.live_files_below(lake.url(""))
    files = list(lake.list_files(""))
    streams = [stream.name for stream in app.streams()] + [item.name for item in app.settings.refused]
    gone = gone_files(live, there=[file.key for file in files], streams=streams)
    return [*gone, *_left_behind(app, files)]


def _left_behind(app: Lakeray, files: Sequence[SourceFile]) -> Sequence[Finding]:
    """What killed commands left: files below DATA_PATH that the catalog does not know, and temporary ones."""
    before = app.clock.now() - LEFT_AFTER
    lake, temp = _places(app)
    ours = (file for file in files if _is_made_by_a_lake(file))
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
    """Mend one kind of finding, or all of them; exits 1 when there is one that nothing here can mend.

    Raises:
        UsageError: no such kind.
    """
    kinds = [str(item) for item in MENDABLE]
    if kind not in (*kinds, "all"):
        raise UsageError("repair", expected=f"{', '.join(kinds)} or all", found=repr(kind), todo=nearest(kind, kinds))
    asked = [item for item in findings if kind in ("all", str(item.kind)) and item.kind not in _NOTHING_TO_MEND]
    chosen = [item for item in asked if _is_mendable(item)]
    left = [item for item in asked if not _is_mendable(item)]
    dry_run = app.settings.doctor.dry_run
    if chosen and not dry_run:
        with app.committer() as committer:
            _mend_all(app, committer, chosen)
    lines = [f"{item.path}: {item.kind}: {MENDABLE[item.kind][0 if dry_run else 1]}" for item in chosen]
    lines += [f"{item.path}: {item.kind}: cannot be mended here; see the runbook" for item in left]
    document = {"dry_run": dry_run, "mended": _named(chosen), "not_mended": _named(left)}
    out.result(document, text="\n".join(lines) or "Nothing to mend.")
    return 1 if left else 0


def _named(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{"kind": str(item.kind), "stream": _of(item), "path": item.path} for item in findings]


def _is_mendable(finding: Finding) -> bool:
    if finding.kind is FindingKind.DATA_FILE_GONE:
        # Of a landing table it is a converted copy, which a feed makes again; of another table nobody has its rows.
        return finding.stream is not None
    return finding.kind in MENDABLE


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
    wanted = {finding.path for finding in _left_behind(app, list(_places(app)[0].list_files("")))}
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
