"""A command line split into command, arguments, overrides and flags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lakeray.values.errors import UsageError

_WITH_PATHS = ("why", "quarantine", "generate", "services", "lease", "init", "enrich", "new-stream", "drop-stream")
"""Commands whose words are their own; those of the others are streams."""
_FLAGS = {
    "new-stream": {"--from-files": False, "--from-schema": True, "--key": True, "--cursor": True, "--path": True},
    "drop-stream": {"--yes": False},
    "enrich": {"--select": False, "--full-refresh": False},
    "init": {"--template": True},
    "sql": {"--format": True},
}
"""What commands have besides settings, and whether a value follows. It stands among the arguments, ``--key=id``."""
_PASSED_ON = ("kuberay",)
"""Commands that pass their settings on, as words, to a command elsewhere; their first word is what they do."""
_STREAM = re.compile(r"[\w*?\[\]!-]+/[\w*?\[\]!-]+")
"""A stream's name, or a pattern of names: ``shopify/orders``, ``shopify/*``."""
_WITH_WORDS = ("sql", "connect")
"""Commands whose words are their own, whatever is in them; but a setting is one."""
_SETTING = re.compile(r"[+~]*\w[\w.]*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A parsed command line."""

    command: str
    arguments: tuple[str, ...]
    overrides: tuple[str, ...]
    config_dir: str | None
    show_config: bool


def parse(words: Sequence[str]) -> Call:
    """Split a command line into command, arguments, Hydra overrides and flags.

    Raises:
        UsageError: a flag or an argument that the command does not have.
    """
    command, rest = words[0], iter(words[1:])
    arguments: list[str] = []
    overrides: list[str] = []
    config_dir, show_config = None, False
    for word in rest:
        if word == "--config-dir":
            config_dir = next(rest, None)
        elif word == "--cfg":
            show_config = next(rest, None) is not None
        elif word.partition("=")[0] in _FLAGS.get(command, {}):
            arguments.append(_flag(command, word, rest))
        elif _is_its_own(word, command=command, first=not arguments):
            arguments.append(word)
        elif word.startswith("--"):
            flags = ", ".join(("--help", "--cfg job", "--config-dir FOLDER", *_FLAGS.get(command, {})))
            raise UsageError(word, expected=f"one of {flags}", found="another flag")
        elif _STREAM.fullmatch(word):
            overrides.append(f"+stream={word}")
        elif "=" not in word and not word.startswith("~"):
            raise UsageError(
                f"{command} {word}",
                expected="streams as source/stream, settings as key=value",
                found="a word",
                todo=f"A stream: lakeray {command} shopify/orders",
            )
        else:
            overrides.append(f"+{word}" if word.startswith("stream=") else word)
    return Call(
        command=command,
        arguments=tuple(arguments + overrides if command in _PASSED_ON else arguments),
        overrides=tuple(overrides),
        config_dir=config_dir,
        show_config=show_config,
    )


def _flag(command: str, word: str, rest: Iterator[str]) -> str:
    name, has_value, value = word.partition("=")
    if not _FLAGS[command][name]:
        return name
    found = value if has_value else next(rest, None)
    if not found:
        raise UsageError(f"{command} {name}", expected="a value behind it", found="nothing")
    return f"{name}={found}"


def _is_its_own(word: str, *, command: str, first: bool) -> bool:
    """Whether a word is the command's to read: no stream, no setting, no flag with a value."""
    if word.startswith("--"):
        return False
    if command in _WITH_WORDS:
        return not _SETTING.match(word)
    if command in _PASSED_ON:
        return first and "=" not in word
    return command in _WITH_PATHS and ("=" not in word or "/" in word.split("=", 1)[0])
