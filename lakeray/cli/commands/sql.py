"""``sql``: ask the lake. Reads only; without a question, a shell on a terminal, else what stdin says."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.answers import FORMATS
from lakeray.cli.commands.feed import INTERRUPTED
from lakeray.cli.terminal import Output
from lakeray.ports.queries import QuerySession
from lakeray.settings.values import Settings
from lakeray.values.errors import LakerayError, UsageError, nearest

_FLAG = "--format="
_PROMPT, _MORE = "lakeray> ", "     ... "
_LEAVE = (".quit", ".exit", "quit", "exit")


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Answer the question, or one after the other."""
    form, words = _form(settings, arguments)
    try:
        with wiring.queries(settings) as session:
            if words:
                return answer(session, " ".join(words), form=form)
            if not sys.stdin.isatty():
                return answer(session, sys.stdin.read(), form=form)
            return _shell(session, form=form)
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "Query interrupted" not in str(
            error
        ):  # DuckDB's, while the lake is opened
            raise
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def answer(session: QuerySession, text: str, *, form: str) -> int:
    """Print the answers to the statements of a text.

    Raises:
        UsageError: it is no SQL that reads, or there are several statements and the form holds one answer.
    """
    statements = session.statements(text)
    if not statements or (form != "table" and len(statements) > 1):
        expected = "a statement" if form == "table" else f"one statement: {form} holds one answer"
        raise UsageError("sql", expected=expected, found=str(len(statements)), todo='lakeray sql "SHOW TABLES"')
    for statement in statements:
        FORMATS[form](session.ask(statement))
    sys.stdout.flush()
    return 0


def _form(settings: Settings, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """What ``--format`` says, and the words that are the question."""
    forms = [word.removeprefix(_FLAG) for word in arguments if word.startswith(_FLAG)]
    form = forms[-1] if forms else "json" if settings.output == "json" else "table"
    if form not in FORMATS:
        raise UsageError("sql --format", expected=", ".join(FORMATS), found=repr(form), todo=nearest(form, FORMATS))
    return form, [word for word in arguments if not word.startswith(_FLAG)]


def _shell(session: QuerySession, *, form: str) -> int:
    """Ask until the input ends. A question that fails or is interrupted ends nothing."""
    import readline  # noqa: F401 - lines that can be edited, and the ones before

    print("The lake, read-only. A statement ends with ; — SHOW TABLES; lists what there is, Ctrl-D leaves.")
    text = ""
    while True:
        try:
            line = input(_MORE if text else _PROMPT)
        except EOFError:
            print()
            return 0
        except KeyboardInterrupt:
            print()
            text = ""
            continue
        if not text and line.strip().rstrip(";") in _LEAVE:
            return 0
        text = f"{text}\n{line}" if text else line
        if text.strip() and not text.rstrip().endswith(";"):
            continue
        if text.strip():
            _answered(session, text, form=form)
        text = ""


def _answered(session: QuerySession, text: str, *, form: str) -> None:
    try:
        answer(session, text, form=form)
    except LakerayError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
