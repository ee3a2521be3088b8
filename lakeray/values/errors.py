"""What can go wrong, grouped by what the operator does next.

    LakerayError
    ├── UsageError          fix the command or the settings, then run again          exit 2
    ├── LeaseHeldError      wait for the other committer, or stop it                 exit 3
    ├── PrefixOwnedError    another lake deletes the same objects: choose which one      exit 1
    ├── TryAgainError       nothing is wrong with the data: run again later          exit 1
    │   ├── StorageError        the object store did not answer, or not wholly
    │   │   ├── NotThereError       no bucket or folder, or not what was taken in from it: is storage.url right?
    │   │   ├── StorageRefusedError  the object store knows the key not, or denies it: look at the keys and policies
    │   │   ├── StorageAddressError  nobody answers at the address: is storage.endpoint_url right?
    │   │   └── DiskFullError       a disk takes nothing more: make room
    │   ├── CatalogError        the catalog did not answer, or a commit was refused
    │   │   └── NoLakeError         its database is there, and no lake in it
    │   └── LeaseLostError      another committer took over; this one must not write
    ├── DataError           look at the data, the contract or the model              exit 1
    │   ├── ContractError       the landing table cannot hold what was asked of it
    │   ├── OversizeError       files that do not fit the memory budget
    │   ├── ValidationMemoryError  a file's footer or its conversion takes more memory than there is
    │   └── TransformError      dbt failed; the batch stays registered
    │       ├── TransformMemoryError  DuckDB did not get by with the memory it may use
    │       │   └── SpillFullError        nor with the disk of the temporary folder: make room
    │       ├── ObjectGoneError       an object that a table needs is not what was registered: run ``doctor``
    │       ├── TransformFaultError   DuckDB or dbt met a fault of its own, or of lakeray's: report it
    │       └── ModelTestError        a dbt test of a touched model failed
    ├── DamageError         storage, ledger and catalog disagree: run ``doctor``     exit 1
    └── UnexpectedError     a fault of lakeray itself: send its report               exit 1

Each error has a stable ``kind``, the thing it is about, what was expected, what was found, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

from lakeray.values.redaction import redacted


class LakerayError(Exception):
    """An error whose reader knows what to do next."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = ""
    """What to do about any error of the kind, where that is always the same."""

    def __init__(self, about: str, *, expected: str = "", found: str = "", todo: str = "") -> None:
        # The one place that every error passes: what other programs say of a connection may hold its password.
        about, expected, found, todo = (redacted(text) for text in (about, expected, found, todo))
        super().__init__(about, expected, found, todo)
        self.about = about
        self.expected = expected
        self.found = found
        self.todo = todo

    def __str__(self) -> str:
        parts = [self.about]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        text = "; ".join(parts)
        return f"{text}. {self.todo}" if self.todo else text

    def __reduce__(self) -> tuple[object, ...]:
        # Ray pickles errors across processes; keyword-only arguments need a constructor of their own.
        return (_rebuild, (type(self), self.about, self.expected, self.found, self.todo))

    def as_dict(self) -> dict[str, str]:
        """The error as fields, for JSON output and logs."""
        return {
            "kind": self.kind,
            "about": self.about,
            "expected": self.expected,
            "found": self.found,
            "todo": self.todo,
        }


def _rebuild(cls: type[LakerayError], about: str, expected: str, found: str, todo: str) -> LakerayError:
    return cls(about, expected=expected, found=found, todo=todo)


class UsageError(LakerayError):
    """A command, a setting, a stream or a file that the user named is wrong."""

    kind = "usage"
    exit_code = 2


class LeaseHeldError(LakerayError):
    """Another committer works on this lake (P10)."""

    kind = "lease_held"
    exit_code = 3


class PrefixOwnedError(LakerayError):
    """Another lake deletes from this prefix (P13)."""

    kind = "prefix_owned"


class TryAgainError(LakerayError):
    """An outside system failed; the same command will do later."""

    kind = "try_again"


class StorageError(TryAgainError):
    """The object store failed. A failed listing never means that there are no files (P3)."""

    kind = "storage"


class NotThereError(StorageError):
    """There is no such bucket or folder, or most of what was taken in from it is not listed any more (P3)."""

    kind = "not_there"


class StorageRefusedError(StorageError):
    """The object store answers, and says 401 or 403."""

    kind = "storage_refused"
    advice = (
        "Look at storage.access_key_id, storage.secret_access_key and the bucket's policy: may this key list, read and "
        "write there? Then run the command again"
    )


class StorageAddressError(StorageError):
    """There is no such host, nobody listens there, or what listens is no object store."""

    kind = "storage_address"
    advice = (
        "Does storage.endpoint_url answer from this machine? Mend the address, or run the command again when it does"
    )


class DiskFullError(StorageError):
    """A disk, of this machine or of a server, takes nothing more."""

    kind = "disk_full"
    advice = "Make room on the disk of the file that is named, then run the command again: it goes on from there"


class CatalogError(TryAgainError):
    """The catalog failed, or refused a commit because something changed meanwhile (P8)."""

    kind = "catalog"


class NoLakeError(CatalogError):
    """The catalog's database is there, and no lake in it."""

    kind = "no_lake"


class LeaseLostError(TryAgainError):
    """The fencing token is stale: another committer took over (P10)."""

    kind = "lease_lost"


class DataError(LakerayError):
    """The data, the contract or a model needs a decision."""

    kind = "data"


class ContractError(DataError):
    """A landing table cannot take what was asked of it."""

    kind = "contract"


class OversizeError(DataError):
    """Files that do not fit the budget, and the policy is to refuse them (P5)."""

    kind = "oversize"


class ValidationMemoryError(DataError):
    """Validating a single file took more memory than there was, after its batch was halved down to it (P5)."""

    kind = "validation_out_of_memory"


class TransformError(DataError):
    """dbt failed. The batch stays registered; the next run starts with this transform (P12)."""

    kind = "transform"


class TransformMemoryError(TransformError):
    """DuckDB ran out of the memory it may use, and could not spill (P5)."""

    kind = "out_of_memory"


class SpillFullError(TransformMemoryError):
    """What did not fit into memory did not fit on the disk of the temporary folder either."""

    kind = "spill_full"
    advice = "Make room on the disk of {paths.root}/tmp, or raise batch.memory_bytes"


class ObjectGoneError(TransformError):
    """An object that a table needs is gone, is another one, or is shorter than it was (P14)."""

    kind = "object_gone"
    advice = "`lakeray doctor` names the objects that are gone or changed, and what mends them"


class TransformFaultError(TransformError):
    """DuckDB met an error inside of itself, or something raised what nobody expected: no model and no data is wrong."""

    kind = "transform_fault"
    advice = "Please report it with {paths.root}/dbt/logs/dbt.log; the next feed starts with this transform"


class ModelTestError(TransformError):
    """A dbt test of a touched model failed; the mark stays (``dbt.tests``)."""

    kind = "test_failed"


class DamageError(LakerayError):
    """Storage, ledger and catalog disagree (P2)."""

    kind = "damage"


class UnexpectedError(LakerayError):
    """A fault of lakeray's own. What was committed stays; a feed that is run again goes on from there."""

    kind = "unexpected"


def nearest(word: str, choices: Iterable[str]) -> str:
    """``Did you mean …?`` for the nearest choice, or nothing when none is near."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else ""
