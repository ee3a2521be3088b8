"""Registering files on the embedded lake: SQLite catalog, files on this machine, from listing to landed.

Run alone: ``python -m benchmarks.embedded [files=2000]``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Took, feed_of
from benchmarks.registration import SUBJECTS
from benchmarks.report import keep
from benchmarks.stack import keys_of, sample_bodies
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.settings.values import Settings

_FILES = 2000
_EXTENSION_FILES = 200
_DAYS = 5
_RUNS = 3


@dataclass(frozen=True, slots=True)
class Local:
    """An embedded lake below one folder."""

    root: Path
    stream: str

    def settings(self, *words: str) -> Settings:
        """The settings of a command on this lake."""
        own = ["env=local", f"paths.root={self.root}", f"+stream={self.stream}", "feed.executor=inline"]
        return settings_of(parse(["feed", *own, *words]))

    def put(self, bodies: Sequence[bytes], *, files: int) -> None:
        """So many raw files."""
        keys = keys_of(self.stream, files=files, days=_DAYS)
        for key, body in zip(keys, itertools.cycle(bodies), strict=False):
            path = self.root / "raw" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


def main(words: Sequence[str] = ()) -> None:
    """Measure a narrow and a wide stream, by both writers."""
    options = dict(word.split("=", 1) for word in words)
    files = int(options.get("files", _FILES))
    found = {}
    for subject in SUBJECTS.values():
        bodies = sample_bodies(subject.stream, rows=subject.rows)
        runs = [_once(subject.stream, bodies, files=files, writer="auto") for _ in range(_RUNS)]
        extension = _once(subject.stream, bodies, files=min(files, _EXTENSION_FILES), writer="extension")
        found[subject.name] = {
            "stream": subject.stream,
            "leaf_columns": subject.leaf_columns,
            "lakeray_auto": sorted(runs, key=lambda took: took.seconds)[_RUNS // 2].as_dict(),
            "lakeray_extension": extension.as_dict(),
        }
    keep("embedded", found)


def _once(stream: str, bodies: Sequence[bytes], *, files: int, writer: str) -> Took:
    with tempfile.TemporaryDirectory(prefix="lrb-embedded-") as folder:
        lake = Local(Path(folder), stream)
        lake.put(bodies, files=files)
        return feed_of(lake, files, words=[f"lake.writer={writer}"])


if __name__ == "__main__":
    main(sys.argv[1:])
