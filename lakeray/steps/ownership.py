"""Ownership: one lake at most deletes below a prefix, and says so by a mark that it leaves there (P13, ADR 0030)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lakeray.values.errors import PrefixOwnedError, StorageError
from lakeray.values.keys import MARK
from lakeray.values.model import SourceFile, StreamName

UNREADABLE = "unreadable"
"""The lake of a mark that says of none."""
_TRIES = 3
"""Somebody deletes the mark while it is looked at: once is bad luck."""
_SAYS = "One lake deletes the objects below this prefix: this one. docs/runbook.md says how another one takes over."


_READ_ONLY = "Two lakes must not delete the same objects: set retention.raw=keep here, or another storage.url"
_NO_OTHER_PLACE = (
    "Two lakes must not share a lake.data_path, for each takes the other's files for orphans: give it another"
)


class Store(Protocol):
    """The part of the object store that marks need."""

    def read_whole(self, key: str) -> bytes | None:
        """All bytes of a small object, or None."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one."""

    def exchange(self, key: str, data: bytes, *, instead_of: bytes) -> bool:
        """Write an object in place of the one with these bytes."""

    def read_above(self, prefix: str, name: str) -> Sequence[tuple[str, bytes]]:
        """The objects of this name in every folder above ``prefix``, with their addresses."""

    def url(self, key: str) -> str:
        """The address of a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A lake, as its marks say it."""

    lake: str
    """Its id: made once with its catalog, wherever that moves to."""
    catalog: str
    """Where its catalog is, for people. Without a password."""

    def __str__(self) -> str:
        return f"lake {self.lake} (catalog {self.catalog})"


def root_of(stream: StreamName) -> str:
    """The prefix below which a stream's objects are."""
    return f"{stream}/"


def mark_of(owner: Owner) -> bytes:
    """What a lake's mark says; the same each time, so that a listing shows by the ETag whose it is."""
    return json.dumps({"lake": owner.lake, "catalog": owner.catalog, "says": _SAYS}, sort_keys=True).encode()


def owner_in(data: bytes) -> Owner:
    """Whose mark it is. What cannot be read is somebody's all the same."""
    try:
        found = json.loads(data)
        return Owner(lake=str(found["lake"]), catalog=str(found.get("catalog", "unknown")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Owner(lake=UNREADABLE, catalog="unknown")


def others(store: Store, marks: Sequence[SourceFile], *, owner: Owner) -> Iterator[tuple[str, Owner]]:
    """Of listed marks those of other lakes, by key. One that may be ours is read, unless its ETag tells."""
    for mark in marks:
        data = None if _is_own(mark, owner) else store.read_whole(mark.key)
        found = owner if data is None else owner_in(data)
        if found.lake != owner.lake:
            yield mark.key, found


def is_claimed(
    store: Store, stream: StreamName, marks: Sequence[SourceFile], *, owner: Owner, take_over: str | None
) -> bool:
    """Whether the stream's prefix has the lake's mark, as a listing shows it. Writes nothing.

    Args:
        take_over: the id of a lake whose marks may be replaced.

    Raises:
        PrefixOwnedError: another lake's mark is there, or below.
    """
    foreign = dict(others(store, marks, owner=owner))
    for key, found in foreign.items():
        if found.lake != take_over:
            raise _owned(store.url(key), found, owner)
    return not foreign and any(mark.key == root_of(stream) + MARK for mark in marks)


def claim_stream(
    store: Store, stream: StreamName, marks: Sequence[SourceFile], *, owner: Owner, take_over: str | None
) -> bool:
    """See that the lake alone deletes the stream's objects; says whether it wrote a mark.

    Args:
        marks: what a listing of the stream's prefix shows of them.
        take_over: the id of a lake whose marks are replaced.

    Raises:
        PrefixOwnedError: another lake's mark is there, below or above.
        StorageError: the storage failed, or does not let us write the mark.
    """
    if is_claimed(store, stream, marks, owner=owner, take_over=take_over):
        return False
    for address, data in store.read_above(root_of(stream), MARK):
        found = owner_in(data)
        if found.lake not in (owner.lake, take_over):
            raise _owned(address, found, owner)
    keys = {root_of(stream) + MARK, *(key for key, _ in others(store, marks, owner=owner))}
    written = [key for key in sorted(keys) if claim(store, key, owner=owner, take_over=take_over)]
    return bool(written)


def claim_data_path(store: Store, *, owner: Owner, take_over: str | None) -> bool:
    """See that the lake alone works in its DATA_PATH; says whether it wrote a mark. Raises as ``claim_stream`` does."""
    return claim(store, MARK, owner=owner, take_over=take_over, otherwise=_NO_OTHER_PLACE)


def claim(store: Store, key: str, *, owner: Owner, take_over: str | None = None, otherwise: str = _READ_ONLY) -> bool:
    """See that the mark under ``key`` is the lake's; says whether it wrote it. Raises as ``claim_stream`` does."""
    mark = mark_of(owner)
    for _ in range(_TRIES):
        data = store.read_whole(key)
        if data is None:
            if _written(store, key, mark):
                return True
            continue  # another one was first, or we were, and the answer was lost
        found = owner_in(data)
        if found.lake == owner.lake:
            return False
        if found.lake != take_over:
            raise _owned(store.url(key), found, owner, otherwise=otherwise)
        if store.exchange(key, mark, instead_of=data):
            return True
    raise StorageError(f"{store.url(key)} comes and goes", todo="Run the command again")


def is_held(store: Store, stream: StreamName, *, owner: Owner) -> bool:
    """Whether the lake may delete the stream's objects now: its mark is there, or is made, for there is none."""
    try:
        claim(store, root_of(stream) + MARK, owner=owner)
    except PrefixOwnedError:
        return False
    return True


def _written(store: Store, key: str, mark: bytes) -> bool:
    try:
        return store.create(key, mark)
    except StorageError as error:
        raise StorageError(
            f"{store.url(key)}: the lake's mark cannot be written",
            found=error.found,
            todo="A lake marks the prefixes that it deletes from. Where it may only read, set retention.raw=keep",
        ) from error


def _is_own(mark: SourceFile, owner: Owner) -> bool:
    # S3's ETag of what was written at once; encrypted by a key of one's own, or in a folder, it is another thing.
    return mark.etag == hashlib.md5(mark_of(owner), usedforsecurity=False).hexdigest()


def _owned(address: str, found: Owner, owner: Owner, *, otherwise: str = _READ_ONLY) -> PrefixOwnedError:
    return PrefixOwnedError(
        f"another lake deletes the objects below {address.removesuffix(MARK)}",
        expected=f"no mark, or that of {owner}" if owner.lake else "no mark of another lake",
        found=str(found),
        todo=f"{otherwise}. If that lake is gone, or shall delete no more, run once with lake.take_over={found.lake}",
    )
