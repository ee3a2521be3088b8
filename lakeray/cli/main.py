"""The command line: one command, its output and its exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence

from lakeray import __version__
from lakeray.cli.commands import init
from lakeray.cli.compose import default_of, settings_of, shown
from lakeray.cli.crash import caught
from lakeray.cli.credentials import take_out
from lakeray.cli.help import COMMANDS, command_help, overview
from lakeray.cli.parse import Call, parse
from lakeray.cli.terminal import Output
from lakeray.values.errors import LakerayError, UsageError, nearest

INTERRUPTED = 130
_FOR_STREAMS = ("feed", "plan", "sample", "demo", "replay", "rebuild")
"""Commands that have nothing to do, and should not seem to have done it, in a project without streams."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of the interface."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if words[0] in ("--version", "-V"):
        print(f"lakeray {__version__}")
        return 0
    as_json = any(word.lstrip("+") == "output=json" for word in words)
    try:
        return _command(words)
    except LakerayError as error:
        _complain(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was committed stays, the rest comes with the next run", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        return 0
    except Exception as error:  # noqa: BLE001 - the net below everything: nobody should meet a traceback
        unexpected = caught(error, words=words)
        _complain(unexpected, as_json=as_json)
        return unexpected.exit_code


def _command(words: Sequence[str]) -> int:
    if words[0] not in COMMANDS:
        raise UsageError(
            f"command {words[0]}", expected="a command", found="none of this name", todo=nearest(words[0], COMMANDS)
        )
    if "--help" in words or "-h" in words:
        print(command_help(words[0], default_of=default_of))
        return 0
    return _run(parse(words))


def _run(call: Call) -> int:
    if call.show_config:
        print(shown(call), end="")
        return 0
    if call.command == "init":
        return init.run(call.arguments, Output(as_json="output=json" in call.overrides))
    settings = settings_of(call)
    if call.command in _FOR_STREAMS and not settings.streams:
        raise UsageError(
            call.command,
            expected="at least one stream",
            found="none in conf/stream",
            todo="A stream is a file, conf/stream/{source}/{stream}.yaml; then `lakeray generate`",
        )
    take_out(settings)
    module = importlib.import_module(f"lakeray.cli.commands.{call.command.replace('-', '_')}")
    code: int = module.run(settings, call.arguments, Output(as_json=settings.output == "json"))
    return code


def _complain(error: LakerayError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error.as_dict()}))
    print(f"lakeray: {error}", file=sys.stderr)
