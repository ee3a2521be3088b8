"""``lease break``: take the lease from a holder that does not answer, and fence it (P10)."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.run import Lakeray
from lakeray.settings.values import Settings
from lakeray.values.errors import CatalogError, LeaseHeldError, UsageError, nearest


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Break the lease. One that is free is no error; one whose holder answers exits 3."""
    action = " ".join(arguments)
    if action != "break":
        raise UsageError(
            "lease",
            expected="break",
            found=repr(action),
            todo=nearest(action, ["break"]) or "`doctor` names the holder",
        )
    with wiring.opened(settings) as app:
        holder = wiring.lease(settings, lake=wiring.backend(settings)).take_from_silent()
        successor = None if holder is None else _fence(app, holder)
    out.result({"taken_from": holder, "held_by": successor}, text=_words(holder, successor))
    return 0


def _fence(app: Lakeray, holder: str) -> str | None:
    """Take a new fencing token, so that the old holder writes nothing; says who did so first, if somebody did.

    Raises:
        CatalogError: the catalog took no token: the old holder is not fenced yet.
    """
    try:
        with app.committer():
            return None
    except LeaseHeldError as error:
        return error.found  # whoever has it took a token
    except CatalogError as error:
        raise CatalogError(
            f"the lease is taken from {holder}, which is not fenced yet",
            expected="a new fencing token in the catalog",
            found=error.found,
            todo="If it was stopped in the middle of a commit, it keeps the catalog locked: end it with kill -9, which "
            "loses nothing. Then run any command that writes",
        ) from error


def _words(holder: str | None, successor: str | None) -> str:
    if holder is None:
        return "The lease is free."
    return f"The lease is taken from {holder}." + (f" Another committer has it: {successor}." if successor else "")
