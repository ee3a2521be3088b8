"""Why a file left landing, and whether its key may come back (P3, P14)."""

from __future__ import annotations

from lakeray.values.model import Removal


def test_only_what_the_retention_took_out_stands_for_its_key() -> None:
    assert {reason for reason in Removal if not reason.key_may_return} == {Removal.RETENTION, Removal.KEPT}
