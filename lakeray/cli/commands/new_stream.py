"""``new-stream``: a stream's config, DDL and model from the files that lie there, or from a schema; edits stay."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lakeray import wiring
from lakeray.airbyte.json_schema import stream_document
from lakeray.cli import project
from lakeray.cli.commands.generate import place_of, shown, wanted
from lakeray.cli.compose import stream_names
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table
from lakeray.settings.conversion import require_names
from lakeray.settings.values import Settings, StreamSettings
from lakeray.streams.generated import ProposedStream, config_text, proposed_by_schema
from lakeray.streams.survey import proposed_cursor, proposed_deleted, proposed_key
from lakeray.values.errors import NotThereError, UsageError
from lakeray.values.keys import shown as printable
from lakeray.values.model import StreamName

_SHOWN_COLUMNS = 12
_YAML = ("sources", "models")
_USAGE = "lakeray new-stream SOURCE/STREAM --from-files, or --from-schema FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    name: StreamName
    schema: Path | None
    """None: the files say it."""
    key: tuple[str, ...] = ()
    cursor: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of the files of the project."""

    written: tuple[str, ...]
    left: tuple[str, ...]
    """They differ from what is proposed, and stay as they are."""
    diff: str


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Propose, write what is missing, show ten rows and what was written. A second run writes nothing over an edit."""
    asked = asked_of(arguments)
    stream = StreamSettings(
        source=asked.name.source, stream=asked.name.stream, path=asked.path, primary_key=(), cursor_field=None
    )
    require_names(asked.name.slug, stream)
    known = settings.streams.get(asked.name.slug)
    if known is not None and asked.path is None:
        stream = replace(stream, path=known.path)
        asked = replace(asked, path=known.path)
    found, lines, notes = _proposed(settings, stream, asked)
    proposal = _with_words(found, asked)
    _require_key(proposal)
    made = replace(
        stream,
        primary_key=tuple(proposal.primary_key),
        cursor_field=proposal.cursor_field,
        deleted_column=proposal.deleted_column,
        fields=proposal.fields,
        descriptions=proposal.descriptions,
    )
    made.landing_contract()  # says what is wrong before anything is written
    done = write(settings, proposal, made)
    document = {
        "stream": str(asked.name),
        "primary_key": list(proposal.primary_key),
        "cursor_field": proposal.cursor_field,
        "fields": dict(proposal.fields),
        **notes,
        "written": list(done.written),
        "left": list(done.left),
        "diff": done.diff,
        "rows": [dict(zip(lines[0], row, strict=True)) for row in lines[1]],
    }
    out.result(document, _tables(lines), text=_words(asked, notes, done))
    return 0


def asked_of(arguments: Sequence[str]) -> Asked:
    """The command line.

    Raises:
        UsageError: it names no stream, or neither files nor a schema.
    """
    flags = dict(word.partition("=")[::2] for word in arguments if word.startswith("--"))
    names = [word for word in arguments if not word.startswith("--")]
    source, _, stream = names[0].partition("/") if len(names) == 1 else ("", "", "")
    if not source or not stream or ("--from-files" in flags) == ("--from-schema" in flags):
        raise UsageError("new-stream", expected=_USAGE, found=" ".join(arguments) or "nothing")
    return Asked(
        name=StreamName(source, stream),
        schema=Path(flags["--from-schema"]) if "--from-schema" in flags else None,
        key=tuple(name for name in flags.get("--key", "").split(",") if name),
        cursor=flags.get("--cursor"),
        path=flags.get("--path"),
    )


_Rows = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


def _proposed(settings: Settings, stream: StreamSettings, asked: Asked) -> tuple[ProposedStream, _Rows, dict[str, Any]]:
    """What is proposed, the first rows of the newest file, and what there is to say of it."""
    name = asked.name
    if asked.schema is not None:
        try:
            found = proposed_by_schema(name, stream_document(_read(asked.schema), stream=name.stream))
        except ValueError as error:
            raise UsageError(str(asked.schema), expected=str(error), found="another document") from None
        return replace(found, path=asked.path), _rows_there(settings, stream), {}
    looked = wiring.survey(settings, stream.layout)
    if not looked.columns:
        raise UsageError(
            f"{name}",
            expected=f"Parquet files below {looked.place}",
            found=looked.problem or "none",
            todo="Where they lie is said by storage.url and --path; a schema will do, too: --from-schema FILE",
        )
    key = proposed_key(name.stream, looked.columns, looked.facts)
    cursor = proposed_cursor(looked.columns, looked.facts)
    proposal = ProposedStream(
        name=name,
        primary_key=key.columns,
        cursor_field=next(iter(cursor.columns), None),
        deleted_column=proposed_deleted(looked.columns),
        path=asked.path,
        fields={item.name: str(item.wanted) for item in looked.columns},
    )
    disagree = [
        {"column": item.name, "types": dict(item.types), "taken_as": str(item.wanted), "refused_files": item.refused}
        for item in looked.columns
        if len(item.types) > 1
    ]
    notes = {
        "footers": looked.footers,
        "sampled_files": len(looked.facts),
        "key_evidence": key.evidence,
        "cursor_evidence": cursor.evidence,
        "disagree": disagree,
    }
    return proposal, looked.rows, notes


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(str(path), expected="a JSON document", found=str(error)) from None
    if not isinstance(found, Mapping):
        raise UsageError(str(path), expected="a JSON object", found="another value")
    return found


def _rows_there(settings: Settings, stream: StreamSettings) -> _Rows:
    try:
        return wiring.survey(settings, stream.layout, only_rows=True).rows
    except NotThereError:
        return (), ()  # with a schema one may begin before there is a file


def _with_words(proposal: ProposedStream, asked: Asked) -> ProposedStream:
    """The command line's word goes before what was found."""
    return replace(
        proposal,
        primary_key=asked.key or proposal.primary_key,
        cursor_field=asked.cursor or proposal.cursor_field,
    )


def _require_key(proposal: ProposedStream) -> None:
    if not proposal.primary_key:
        raise UsageError(
            f"{proposal.name}",
            expected="a primary key",
            found="no column that is one",
            todo=f"Say it: --key NAME, or --key NAME,NAME. There are {', '.join(proposal.fields)}",
        )


# ---- the project's files -------------------------------------------------------------------------------------------


def write(settings: Settings, proposal: ProposedStream, made: StreamSettings) -> Written:
    """Write the config and what follows from it; what is there and differs stays, and the difference is shown."""
    name = proposal.name
    config = project.found() / "conf" / "stream" / name.source / f"{name.stream}.yaml"
    label = f"conf/stream/{name.source}/{name.stream}.yaml"
    texts: dict[str, tuple[Path, str, bool]] = {label: (config, config_text(proposal), False)}
    stands = settings.streams.get(name.slug)
    before = wanted(settings)
    after = wanted(replace(settings, streams={**settings.streams, name.slug: stands or made}))
    whole = set(stream_names(None)) - {str(name)} <= {str(stream.name) for stream in settings.streams.values()}
    own = {f"{name.landing_table}.sql", f"{name.processed_table}.sql", *(f"_{name.source}__{k}.yml" for k in _YAML)}
    for path, text in after.items():
        if path.rpartition("/")[2] in own:
            target = place_of(settings, path)
            (told,) = shown(settings, [path])
            texts[told] = (target, text, whole and _is_untouched(target, before.get(path)))
    written: list[str] = []
    left: list[str] = []
    diff: list[str] = []
    for path, (target, text, may_replace) in texts.items():
        have = target.read_bytes().decode() if target.exists() else None
        if have == text:
            continue
        diff += difflib.unified_diff((have or "").splitlines(), text.splitlines(), path, path, lineterm="", n=1)
        if have is not None and not may_replace:
            left.append(path)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
        written.append(path)
    return Written(written=tuple(written), left=tuple(left), diff="\n".join(diff))


def _is_untouched(target: Path, before: str | None) -> bool:
    """Whether a file is, byte for byte, what the other streams' configs made of it."""
    return before is not None and target.exists() and target.read_bytes().decode() == before


# ---- words ---------------------------------------------------------------------------------------------------------


def _tables(rows: _Rows) -> list[Table]:
    names, values = rows
    if not values:
        return []
    chosen = [at for at, name in enumerate(names) if not name.startswith("_airbyte")][:_SHOWN_COLUMNS]
    more = f", {len(chosen)} of {len(names)} columns" if len(chosen) < len(names) else ""
    title = f"The first {len(values)} rows of the newest file{more}"
    columns = tuple(names[at] for at in chosen)
    cells = tuple(tuple(printable(row[at]) for at in chosen) for row in values)  # no terminal obeys what is in them
    return [Table(title=title, columns=tuple(map(printable, columns)), rows=cells)]


def _words(asked: Asked, notes: Mapping[str, Any], done: Written) -> str:
    lines = [done.diff] if done.diff else []
    if notes:
        lines.append(f"Looked at {notes['footers']} footers, and at the rows of {notes['sampled_files']} files.")
        lines.append(f"Key: {', '.join(asked.key) + ' (your word); ' if asked.key else ''}{notes['key_evidence']}")
        lines.append(f"Cursor: {asked.cursor + ' (your word); ' if asked.cursor else ''}{notes['cursor_evidence']}")
    for item in notes.get("disagree", ()):
        types = ", ".join(f"{kind} in {files}" for kind, files in item["types"].items())
        refused = f"; {item['refused_files']} would be quarantined" if item["refused_files"] else ""
        lines.append(f"Files disagree about {item['column']}: {types}; taken as {item['taken_as']}{refused}")
    lines += [f"wrote {path}" for path in done.written]
    lines += [f"left as it is, for it was edited or is another stream's too: {path}" for path in done.left]
    if not done.written:
        lines.append("Nothing to write.")
    else:
        lines.append(f"Next: lakeray check {asked.name}, then lakeray feed {asked.name}")
    return "\n".join(lines)
