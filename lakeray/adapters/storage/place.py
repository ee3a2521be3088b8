"""Where objects are, and what is said when there is no such place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakeray.values.errors import NotThereError

RAW = "storage.url"
"""The setting of the raw prefix."""
_NO_BUCKET = "404 Not Found"
"""What obstore says of a listing's answer when there is no bucket: a prefix that holds nothing is an empty list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket or a folder."""

    url: str
    setting: str
    """The setting that named it."""
    folder: Path | None = None
    """None for a bucket."""
    may_be_missing: bool = False
    """A folder that is not there lists as an empty one."""

    def is_there(self) -> bool:
        """Whether the folder is there; of a bucket the next request tells."""
        return self.folder is None or self.folder.is_dir()

    def has_refused(self, cause: BaseException | None) -> bool:
        """Whether a listing failed because there is no such bucket."""
        return self.folder is None and _NO_BUCKET in str(cause)

    def missing(self) -> NotThereError:
        """The error of a place that is not there."""
        makes = " `lakeray sample` makes the folder" if self.folder is not None and self.setting == RAW else ""
        return NotThereError(
            f"{self.url} is not there",
            expected="a bucket" if self.folder is None else "a folder",
            found="none",
            todo=f"Is {self.setting} right?{makes}",
        )
