"""Ownership: one lake at most deletes below a prefix, and says so by a claim that it leaves there (P13, ADR 0030)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from lakeray.values.errors import DiskFullError, NotThereError, PrefixOwnedError, StorageAddressError, StorageError
from lakeray.values.keys import CLAIM
from lakeray.values.model import SourceFile

UNREADABLE = "unreadable"
"""The lake of a claim that says of none."""
_LOOKS = 32
"""Folders that are looked into at once."""
_TRIES = 3
"""Somebody deletes the claim while it is looked at: once is bad luck."""
_SAYS = "One lake deletes the objects below this prefix: this one. docs/runbook.md says how another one takes over."


_READ_ONLY = "Two lakes must not delete the same objects: set retention.raw=keep here, or another storage.url"
_NO_OTHER_PLACE = (
    "Two lakes must not share a lake.data_path, for each takes the other's files for orphans: give it another"
)


class Store(Protocol):
    """The part of the object store that claims need."""

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
    """A lake, as its claims say it."""

    lake: str
    """Its id: made once with its catalog, wherever that moves to."""
    catalog: str
    """Where its catalog is, for people. Without a password."""

    def __str__(self) -> str:
        return f"lake {self.lake} (catalog {self.catalog})"


def claim_of(owner: Owner) -> bytes:
    """What a lake's claim says; the same each time, so that a listing shows by the ETag whose it is."""
    return json.dumps({"lake": owner.lake, "catalog": owner.catalog, "says": _SAYS}, sort_keys=True).encode()


def owner_in(data: bytes) -> Owner:
    """Whose claim it is. What cannot be read is somebody's all the same."""
    try:
        found = json.loads(data)
        return Owner(lake=str(found["lake"]), catalog=str(found.get("catalog", "unknown")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Owner(lake=UNREADABLE, catalog="unknown")


def others(store: Store, claims: Sequence[SourceFile], *, owner: Owner) -> Iterator[tuple[str, Owner]]:
    """Of listed claims those of other lakes, by key. One that may be ours is read, unless its ETag tells."""
    for claim in claims:
        data = None if is_own(claim, owner) else store.read_whole(claim.key)
        found = owner if data is None else owner_in(data)
        if found.lake != owner.lake:
            yield claim.key, found


def is_claimed(store: Store, root: str, claims: Sequence[SourceFile], *, owner: Owner, take_over: str | None) -> bool:
    """Whether the stream's prefix has the lake's claim, as a listing shows it. Writes nothing.

    Args:
        root: the prefix below which the stream's objects are.
        take_over: the id of a lake whose claims may be replaced.

    Raises:
        PrefixOwnedError: another lake's claim is there, or below.
    """
    foreign = dict(others(store, claims, owner=owner))
    for key, found in foreign.items():
        if found.lake != take_over:
            raise _owned(store.url(key), found, owner)
    return not foreign and any(claim.key == root + CLAIM for claim in claims)


def claim_stream(store: Store, root: str, claims: Sequence[SourceFile], *, owner: Owner, take_over: str | None) -> bool:
    """See that the lake alone deletes the stream's objects; says whether it wrote a claim.

    Args:
        root: the prefix below which the stream's objects are.
        claims: what a listing of it shows of them.
        take_over: the id of a lake whose claims are replaced.

    Raises:
        PrefixOwnedError: another lake's claim is there, below or above.
        StorageError: the storage failed, or does not let us write the claim.
    """
    if is_claimed(store, root, claims, owner=owner, take_over=take_over):
        return False
    _refuse_above(store, root, owner=owner, take_over=take_over)
    keys = {root + CLAIM, *(key for key, _ in others(store, claims, owner=owner))}
    written = [key for key in sorted(keys) if hold(store, key, owner=owner, take_over=take_over)]
    # Again, behind the claim: of lakes that begin in the same moment the outer one finds ours where it deletes, or we
    # find its claim here.
    _refuse_above(store, root, owner=owner, take_over=take_over)
    return bool(written)


def _refuse_above(store: Store, root: str, *, owner: Owner, take_over: str | None) -> None:
    for address, data in store.read_above(root, CLAIM):
        found = owner_in(data)
        if found.lake not in (owner.lake, take_over):
            raise _owned(address, found, owner)


def data_path_owner(store: Store) -> Owner | None:
    """The lake that works in the DATA_PATH, as its claim says; None when nobody does."""
    data = store.read_whole(CLAIM)
    return None if data is None else owner_in(data)


def refuse_data_path(store: Store, found: Owner, *, owner: Owner, take_over: str | None) -> None:
    """Refuse another lake's DATA_PATH before a lake is made there: its catalog would be bound to it.

    Raises:
        PrefixOwnedError: it is another lake's.
    """
    if found.lake not in (owner.lake, take_over):
        raise _owned(store.url(CLAIM), found, owner, otherwise=_NO_OTHER_PLACE)


def claim_data_path(store: Store, *, owner: Owner, take_over: str | None) -> bool:
    """See that no other lake works in the DATA_PATH; says whether it wrote a claim. Raises as ``claim_stream`` does."""
    return hold(store, CLAIM, owner=owner, take_over=take_over, otherwise=_NO_OTHER_PLACE)


def hold(store: Store, key: str, *, owner: Owner, take_over: str | None = None, otherwise: str = _READ_ONLY) -> bool:
    """See that the claim under ``key`` is the lake's; says whether it wrote it. Raises as ``claim_stream`` does.

    What was written is read: not every S3 knows conditions, and where another one was first, or ours was and the answer
    was lost, only the claim itself tells.
    """
    assert owner.lake, "a lake that is not made yet claims nothing"
    claim, wrote = claim_of(owner), False
    for _ in range(_TRIES):
        data = store.read_whole(key)
        if data is None:
            wrote = _written(store, key, claim)
            continue
        found = owner_in(data)
        if found.lake == owner.lake:
            return wrote
        if found.lake != take_over:
            raise _owned(store.url(key), found, owner, otherwise=otherwise)
        wrote = store.exchange(key, claim, instead_of=data)
    raise StorageError(f"{store.url(key)} comes and goes", todo="Run the command again")


def is_held(store: Store, root: str, *, owner: Owner) -> bool:
    """Whether the lake may delete what is below a stream's root now: its claim is there, or is made."""
    try:
        hold(store, root + CLAIM, owner=owner)
    except PrefixOwnedError:
        return False
    return True


def is_held_above(store: Store, key: str, *, owner: Owner) -> bool:
    """Whether the nearest claim above an object is the lake's: for a stream whose root is not known. Writes nothing."""
    found = store.read_above(key, CLAIM)
    return bool(found) and owner_in(found[0][1]).lake == owner.lake


def deletable(store: Store, root: str, keys: Collection[str], *, owner: Owner) -> frozenset[str]:
    """Those of the keys below a stream's root whose objects the lake may delete now.

    Its claim is there, or is made, for there is none; and no other lake's is in a folder between it and the object: a
    lake inside the prefix, which took over or began in the same moment, may have registered what is below.

    Raises:
        StorageError: the storage failed.
    """
    if not is_held(store, root, owner=owner):
        return frozenset()
    of_key = {key: _folders_between(root, key) for key in keys}
    folders = sorted({folder for between in of_key.values() for folder in between})
    with ThreadPoolExecutor(_LOOKS) as pool:
        claims = list(pool.map(lambda folder: store.read_whole(folder + CLAIM), folders))
    foreign = {
        folder
        for folder, data in zip(folders, claims, strict=True)
        if data is not None and owner_in(data).lake != owner.lake
    }
    return frozenset(key for key, between in of_key.items() if foreign.isdisjoint(between))


def _folders_between(root: str, key: str) -> tuple[str, ...]:
    """The folders strictly below ``root`` that an object lies in."""
    parts = key.removeprefix(root).split("/")[:-1]
    return tuple(root + "/".join(parts[: depth + 1]) + "/" for depth in range(len(parts)))


def _written(store: Store, key: str, claim: bytes) -> bool:
    try:
        return store.create(key, claim)
    except (NotThereError, StorageAddressError, DiskFullError):
        raise
    except StorageError as error:
        raise type(error)(
            f"{store.url(key)}: the lake's claim cannot be written",
            found=error.found,
            todo="A lake claims the prefixes that it deletes from. Where it may only read, set retention.raw=keep",
        ) from error


def is_own(claim: SourceFile, owner: Owner) -> bool:
    """Whether a listing shows that the claim is the lake's; False when it must be read."""
    # S3's ETag of what was written at once; encrypted by a key of one's own, or in a folder, it is another thing.
    return claim.etag == hashlib.md5(claim_of(owner), usedforsecurity=False).hexdigest()


def _owned(address: str, found: Owner, owner: Owner, *, otherwise: str = _READ_ONLY) -> PrefixOwnedError:
    return PrefixOwnedError(
        f"another lake deletes the objects below {address.removesuffix(CLAIM)}",
        expected=f"no claim, or that of {owner}" if owner.lake else "no claim of another lake",
        found=str(found),
        todo=f"{otherwise}. If that lake is gone, or shall delete no more, run once with lake.take_over={found.lake}",
    )
