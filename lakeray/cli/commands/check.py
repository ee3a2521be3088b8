"""``check``: all that can be known before anything is written. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lakeray import wiring
from lakeray.cli.commands.generate import drifted
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table
from lakeray.planning import Rules, missing_model, plan_stream, view_of
from lakeray.run import Lakeray, refusal_of
from lakeray.settings.values import Settings, StreamSettings
from lakeray.steps import validate
from lakeray.steps.discover import list_since
from lakeray.values.errors import LakerayError
from lakeray.values.keys import file_day, is_claim, shown
from lakeray.values.model import Accepted, Footer, Rejected, SourceFile, StreamName, Verdict

FooterOf = Callable[[SourceFile], Footer | Rejected]
_FORMAT = "A file that `lakeray generate` writes is missing or differs: run it, and commit what it wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One thing that was looked at."""

    stream: StreamName | None
    what: str
    """``config``, ``generated``, ``model``, ``dbt``, ``prefix``, ``lake`` or ``types``."""
    problem: str = ""
    """Empty: it is well."""
    found: str = ""
    """What there is to say of what is well."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Look at all that a feed will need; exits 1 when something is not as it should be."""
    with wiring.opened(settings) as app:
        return show(app, out, models=lambda: wiring.dbt_models(settings), footer_of=wiring.footer_reader(settings))


def show(app: Lakeray, out: Output, *, models: Callable[[], frozenset[str]], footer_of: FooterOf) -> int:
    """The same, of an application that is open.

    Args:
        models: the names of dbt's models; raises ``LakerayError`` when the project cannot be parsed.
        footer_of: the footer of a raw file, or why it has none.
    """
    checked = list(_looked(app, models=models, footer_of=footer_of))
    wrong = [item for item in checked if item.problem]
    rows = tuple((_of(item), item.what, item.problem or item.found or "as it should be") for item in wrong or checked)
    document = {
        "ok": not wrong,
        "checks": [
            {"stream": _of(item), "what": item.what, "problem": item.problem or None, "found": item.found or None}
            for item in checked
        ],
    }
    text = "" if wrong else "A feed can begin. Nothing was written."
    out.result(document, [Table(title="Check", columns=("stream", "what", "found"), rows=rows)], text=text)
    return 1 if wrong else 0


def _looked(app: Lakeray, *, models: Callable[[], frozenset[str]], footer_of: FooterOf) -> Iterator[Checked]:
    known: frozenset[str] | None = None
    try:
        known = models()
        yield Checked(stream=None, what="dbt", found=f"{len(known)} models")
    except LakerayError as error:
        yield Checked(stream=None, what="dbt", problem=str(error))
    for item in app.settings.refused:
        yield Checked(stream=item.name, what="config", problem=str(item.error))
    sound = {}
    for stream in app.streams():
        try:
            sound[stream.name] = (stream, app.rules(stream))
        except LakerayError as error:
            yield Checked(stream=stream.name, what="config", problem=str(error))
    if len(sound) == len(app.streams()):
        yield _generated(app.settings)
    for stream, rules in sound.values():
        yield Checked(stream=stream.name, what="config")
        if known is not None:
            yield _model(stream, known)
        yield from _place(app, rules, footer_of)


def _generated(settings: Settings) -> Checked:
    wrong = drifted(settings)
    return Checked(stream=None, what="generated", problem=f"{_FORMAT}: {', '.join(wrong)}" if wrong else "")


def _model(stream: StreamSettings, known: frozenset[str]) -> Checked:
    there = stream.name.processed_table in known
    return Checked(stream=stream.name, what="model", problem="" if there else str(missing_model(stream.name)))


def _place(app: Lakeray, rules: Rules, footer_of: FooterOf) -> Iterator[Checked]:
    """The stream's prefix and its newest file, beside what the lake has of the stream."""
    name, place = rules.stream, app.store.url(rules.layout.root)
    try:
        refused = refusal_of(app, rules, plan_stream(rules, app.planning_ports()))
        landing = app.reader.landing_columns(name) or {}
        validate.require_excluded(name, rules.contract, landing)
        yield Checked(stream=name, what="lake", problem="" if refused is None else str(refused))
        newest = _newest(app, rules)
        if newest is None:
            yield Checked(stream=name, what="prefix", problem=f"expected Parquet files below {place}, found none")
            return
        yield Checked(stream=name, what="prefix", found=f"{place}, the newest file is {shown(newest.key)}")
        footer = footer_of(newest)
        found: Verdict = (
            footer
            if isinstance(footer, Rejected)
            else validate.verdict(newest, footer, validate.effective(rules.contract, landing))
        )
        yield _types(name, found)
    except LakerayError as error:
        yield Checked(stream=name, what="lake", problem=str(error))


def _newest(app: Lakeray, rules: Rules) -> SourceFile | None:
    view = view_of(rules, app.reader.cursor(rules.stream), today=app.today())
    listed = (file for file in list_since(app.store, rules.layout, since=view) if not is_claim(file.key))
    return max(listed, key=lambda file: (file_day(file), file.last_modified), default=None)


def _types(name: StreamName, verdict: Verdict) -> Checked:
    if not isinstance(verdict, Accepted):
        return Checked(stream=name, what="types", problem=f"{shown(verdict.file.key)}: {verdict.detail}")
    told = []
    if verdict.casts:
        told.append(f"a converted copy of {', '.join(cast.column for cast in verdict.casts)}")
    if verdict.needs:
        told.append(f"landing gets or widens {', '.join(column.name for column in verdict.needs)}")
    return Checked(stream=name, what="types", found="; ".join(told))


def _of(item: Checked) -> str:
    return "*" if item.stream is None else str(item.stream)
