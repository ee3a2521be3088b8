"""What became of an object while it was looked at: a verdict on the file, and never a storage that failed (P6)."""

from __future__ import annotations

from lakeray.ports.storage import ObjectStore
from lakeray.values.model import Rejected, RejectReason, SourceFile


def moved_meanwhile(store: ObjectStore, file: SourceFile) -> Rejected | None:
    """The verdict on a file that vanished or became another one since it was listed; None when it is as it was.

    One request; asked only where reading went wrong, or read all of the file.

    Raises:
        StorageError: the object store failed; that says nothing about the file.
    """
    now = store.head(file.key)
    if now is None:
        return vanished(file)
    if now.identity == file.identity:
        return None
    detail = f"expected ETag {file.etag}, {file.size_bytes:,} bytes, found {now.etag}, {now.size_bytes:,} bytes"
    return Rejected(file=file, reason=RejectReason.CHANGED, detail=f"{detail}: it was overwritten meanwhile")


def vanished(file: SourceFile) -> Rejected:
    """The verdict on a file that is not there any more."""
    return Rejected(file=file, reason=RejectReason.VANISHED, detail="expected the listed object, found none")
