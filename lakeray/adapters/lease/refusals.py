"""Why the lease is not to be had: the same words, wherever it is kept."""

from __future__ import annotations

from lakeray.adapters.lease.heartbeat import SILENT_BEATS
from lakeray.values.errors import LeaseHeldError


def held(described: str | None) -> LeaseHeldError:
    """Another process holds the lease, and this one has waited long enough.

    Args:
        described: who holds it; None when nobody knows.
    """
    return LeaseHeldError(
        "another committer works on this lake",
        expected="the lease",
        found=f"it is held by {described}" if described else "it is held",
        todo="Wait until it ends, or stop it; `status`, `plan` and `why` work meanwhile. `lakeray lease break` takes "
        "the lease from a process that does not answer",
    )


def answers(holder: str, *, every_s: float) -> LeaseHeldError:
    """A heartbeat came: the lease is not taken from who answers."""
    return LeaseHeldError(
        "the holder of the lease answers",
        expected=f"no heartbeat for {SILENT_BEATS * every_s:g} s",
        found=f"one of {holder}",
        todo="Wait until it ends, or stop it",
    )


def cannot_be_asked(described: str | None) -> LeaseHeldError:
    """The holder says nothing of a heartbeat: none coming proves nothing."""
    return LeaseHeldError(
        "the holder of the lease cannot be asked",
        expected="a holder that gives a heartbeat",
        found=f"{described or 'a process that wrote nothing down'}: another version of lakeray, or another role",
        todo="Stop that process",
    )
