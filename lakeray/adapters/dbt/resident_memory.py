"""The peak of this process's resident memory, from a moment on. Linux only; elsewhere nothing is measured.

Not ``ru_maxrss``: that is the highest since the process began, and one large batch would hide all later ones.
"""

from __future__ import annotations

from pathlib import Path

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"
"""What sets VmHWM to the present resident size (``man 5 proc``)."""


def begin() -> bool:
    """Forget the peak so far; says whether it could be forgotten."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """Resident bytes at their highest since ``begin``; None where the system does not tell."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
