"""``doctor``: do storage, ledger and catalog agree, and is the machine fit? Reads only."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Sequence
from datetime import date

from lakeray import wiring
from lakeray.adapters.terminal import Output
from lakeray.audit import Finding, FindingKind, audit
from lakeray.config import Settings, StreamSettings
from lakeray.discover import list_since
from lakeray.explain import Table, human_bytes

_VERSIONS = ("lakeray", "duckdb", "duckdb-extension-ducklake", "dbt-core", "dbt-duckdb", "ray", "pyarrow", "obstore")
_HARMLESS = (FindingKind.NOT_TRANSFORMED,)


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print versions, places, the lease's holder and every disagreement; exits 1 when data is at stake."""
    with wiring.opened(settings) as app:
        findings = [finding for stream in app.streams() for finding in examine(app, stream)]
        catalog_version = app.reader.catalog_version()
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
