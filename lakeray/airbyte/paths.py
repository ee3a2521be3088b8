"""The path pattern of Airbyte's S3 destination as a layout: its variables are Airbyte's own. Pure."""

from __future__ import annotations

import re

from lakeray.values.layouts import Layout

NAMES = ("NAMESPACE", "STREAM_NAME")
TIMES = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "EPOCH")
VARIABLES = (*NAMES, *TIMES, "UUID")
"""All that the destination knows."""
AIRBYTES_OWN = "${NAMESPACE}/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"
"""The pattern that the destination has when nobody sets one."""
BY_DAY = "${NAMESPACE}/${STREAM_NAME}/year=${YEAR}/month=${MONTH}/day=${DAY}/"

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FLAT = re.compile(r"\$\{YEAR\}_\$\{MONTH\}_\$\{DAY\}_\$\{(?:EPOCH|HOUR|MINUTE|SECOND|MILLISECOND)\}_[^/]*")
_FOLDERS = re.compile(r"year=\$\{YEAR\}/month=\$\{MONTH\}/day=\$\{DAY\}(?:/.*)?")


def layout_of(path: str, *, namespace: str, stream: str) -> Layout:
    """The layout that a path pattern describes.

    Args:
        path: relative to the raw prefix, as the destination has it: ``${NAMESPACE}/${STREAM_NAME}/``, then nothing,
            folders of days (`BY_DAY`) or Airbyte's own flat names (`AIRBYTES_OWN`).
        namespace: what ``${NAMESPACE}`` stands for.
        stream: what ``${STREAM_NAME}`` stands for.

    Raises:
        ValueError: it is none of these; says what was expected.
    """
    unknown = [name for name in _VARIABLE.findall(path) if name not in VARIABLES]
    if unknown:
        raise ValueError(f"Airbyte's variables {', '.join(VARIABLES)}, not {unknown[0]}")
    named = path.replace("${NAMESPACE}", namespace).replace("${STREAM_NAME}", stream)
    first = _VARIABLE.search(named)
    if first is None:
        folder, rest = named.removesuffix("/"), ""
    else:
        folder, _, begun = named[: first.start()].rpartition("/")
        rest = begun + named[first.start() :]
    if {"", ".", ".."} & set(folder.split("/")):
        raise ValueError("a folder of the stream's own below storage.url, without empty parts and dots")
    root = f"{folder}/"
    if _FLAT.fullmatch(rest):
        return Layout(root=root, is_flat=True)
    if _FOLDERS.fullmatch(rest) or not any(name in TIMES for name in _VARIABLE.findall(rest)):
        return Layout(root=root)
    raise ValueError(
        "behind the stream's folder year=${YEAR}/month=${MONTH}/day=${DAY}/, or ${YEAR}_${MONTH}_${DAY}_${EPOCH}_, or "
        "nothing: with nothing everything below the folder is listed each time, and no file grows old"
    )
