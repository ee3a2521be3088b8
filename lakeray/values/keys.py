"""What an object's key says. Pure.

Names order nothing. A key's day is parsed, never compared as text: part numbers are unpadded (``_10`` sorts before
``_2``), months and days may be (``day=9`` after ``day=10``), and a part's id can be a UUID (P3).
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from lakeray.values.model import SourceFile

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CLAIM = "_lakeray.json"
"""The name of a lake's claim. Readers of folders of Parquet leave out names that begin with an underscore; those of
Airbyte's own objects begin with ``__airbyte``."""
_SOURCE_FILE = re.compile(r"\.parquet(-\d+)?$")
_HIVE_DAY = re.compile(r"(?:^|/)year=(\d{4})/month=(\d{1,2})/day=(\d{1,2})(?:/|$)")
_FLAT_DAY = re.compile(r"(?:^|/)(\d{4})_(\d{2})_(\d{2})_\d+_[^/]*$")
_DIGITS = re.compile(r"[0-9]+")
_WIDTH = 64


def is_source_file(key: str) -> bool:
    """Whether Airbyte means the object as data: ``….parquet`` or, after a name clash, ``….parquet-1``."""
    segments = key.split("/")
    return _SOURCE_FILE.search(segments[-1]) is not None and not any(
        segment.startswith("__airbyte") for segment in segments
    )


def shown(key: str) -> str:
    """The key for people: control characters percent-encoded, so that no terminal obeys them."""
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", key)


def is_claim(key: str) -> bool:
    """Whether the object is a lake's claim, which says who deletes below its prefix (P13)."""
    return key.rpartition("/")[2] == CLAIM


def is_registered_as_it_lies(path: str, *, key: str) -> bool:
    """Whether a registered path is the raw object itself, and no copy of it.

    By its end: how ``storage.url`` was written when it was registered does not matter.
    """
    return path.endswith(f"/{key}")


def day_of(key: str, *, otherwise: date) -> date:
    """The day that a key names: the UTC start of its sync, padded or not; ``otherwise`` when it names none.

    Both of Airbyte's patterns are read: ``year=2026/month=1/day=9/…`` and ``2026_01_09_1767916800000_0.parquet``.
    """
    named, day = _folder_day(key[: key.rfind("/") + 1])
    if not named:  # by its folder; thousands of keys share one
        day = _named_by(_HIVE_DAY.search(key) or _FLAT_DAY.search(key))
    return otherwise if day is None else day


@lru_cache(maxsize=1024)
def _folder_day(folder: str) -> tuple[bool, date | None]:
    match = _HIVE_DAY.search(folder)
    return match is not None, _named_by(match)


def _named_by(match: re.Match[str] | None) -> date | None:
    if match is None or int(match[1]) < 1970:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def file_day(file: SourceFile) -> date:
    """The day of a file: of its key, or else of its last change."""
    return day_of(file.key, otherwise=file.last_modified.date())


def natural_order(text: str) -> str:
    """A text that sorts as ``text`` does when runs of digits compare as numbers: ``part_2`` before ``part_10``.

    The macro ``lakeray_natural`` makes the same text in SQL. Of a run longer than 64 digits the last 64 count.
    """
    return _DIGITS.sub(lambda run: run[0].zfill(_WIDTH)[-_WIDTH:], text)
