"""``doctor``: do storage, ledger and catalog agree, and is the machine fit? Reads only, unless told to repair."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Sequence
from datetime import date

from lakeray import wiring
from lakeray.adapters.terminal import Output
from lakeray.audit import Finding, FindingKind, audit
from lakeray.config import Settings, StreamSettings, nearest
from lakeray.discover import list_since
from lakeray.errors import UsageError
from lakeray.explain import Table, human_bytes
from lakeray.model import StreamName
from lakeray.ports import Committer

_VERSIONS = ("lakeray", "duckdb", "duckdb-extension-ducklake", "dbt-core", "dbt-duckdb", "ray", "pyarrow", "obstore")
_HARMLESS = (FindingKind.NOT_TRANSFORMED,)
MENDABLE = (
    FindingKind.GONE,
    FindingKind.CHANGED,
    FindingKind.NOT_REGISTERED,
    FindingKind.NOT_IN_LEDGER,
    FindingKind.TWICE,
)


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print versions, places, the lease's holder and every disagreement; exits 1 when data is at stake."""
    with wiring.opened(settings) as app:
        findings = [finding for stream in app.streams() for finding in examine(app, stream)]
        catalog_version = app.reader.catalog_version()
        if settings.repair is not None:
            return repair(app, findings, kind=settings.repair, out=out)
    root = wiring.absolute(settings.paths.root)
    root.mkdir(parents=True, exist_ok=True)
    facts = {
        **{name: _version(name) for name in _VERSIONS},
        "DuckLake catalog": catalog_version or "not made yet",
        "free disk under paths.root": human_bytes(shutil.disk_usage(root).free),
        "lease": wiring.lease_holder(settings) or "free",
    }
    document = {
        "facts": facts,
        "findings": [
            {"kind": str(item.kind), "stream": str(item.stream), "path": item.path, "detail": item.detail}
            for item in findings
        ],
    }
    tables = [Table(title="Facts", columns=("what", "found"), rows=tuple(facts.items()))]
    if findings:
        rows = tuple((str(item.kind), str(item.stream), item.path, item.detail) for item in findings)
        tables.append(Table(title="Findings", columns=("kind", "stream", "path", "detail"), rows=rows))
    out.result(document, tables, text="" if findings else "Storage, ledger and catalog agree.")
    return 1 if any(item.kind not in _HARMLESS for item in findings) else 0


def examine(app: wiring.Lakeray, stream: StreamSettings) -> Sequence[Finding]:
    """The disagreements of one stream. Lists its whole prefix."""
    name = stream.name
    return audit(
        name,
        ledger=app.reader.registered(name, first=date.min, last=date.max),
        registered=app.reader.landing_paths(name),
        objects={file.key: file for file in list_since(app.store, name, since=None)},
        transformed_snapshot=app.reader.cursor(name).transformed_snapshot,
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"


def repair(app: wiring.Lakeray, findings: Sequence[Finding], *, kind: str, out: Output) -> int:
    """Mend one kind of finding, or all: the files leave catalog and ledger, and the next feed takes in what is there.

    Raises:
        UsageError: no such kind, or one that cannot be mended so.
    """
    kinds = [str(item) for item in MENDABLE]
    if kind not in (*kinds, "all"):
        raise UsageError("repair", expected=f"{', '.join(kinds)} or all", found=repr(kind), todo=nearest(kind, kinds))
    chosen = [item for item in findings if item.kind in MENDABLE and kind in ("all", str(item.kind))]
    dry_run = app.settings.doctor.dry_run
    if chosen and not dry_run:
        with app.committer() as committer:
            for stream in sorted({item.stream for item in chosen}):
                _mend(app, committer, stream, [item for item in chosen if item.stream == stream])
    verb = "would be forgotten" if dry_run else "forgotten; the next feed takes in what is there"
    text = "\n".join(f"{item.path}: {item.kind}: {verb}" for item in chosen) or "Nothing to mend."
    document = {
        "dry_run": dry_run,
        "mended": [{"kind": str(i.kind), "stream": str(i.stream), "path": i.path} for i in chosen],
    }
    out.result(document, text=text)
    return 0


def _mend(app: wiring.Lakeray, committer: Committer, stream: StreamName, findings: Sequence[Finding]) -> None:
    named = {item.path for item in findings}
    live = app.reader.registered(stream, first=date.min, last=date.max)
    entries = [entry for entry in live if entry.key in named or entry.registered_path in named]
    known = {entry.key for entry in entries}
    paths = {entry.registered_path for entry in entries} | {path for path in named if path not in known}
    committer.forget(stream, paths=sorted(paths), entries=entries, reason="repair")
