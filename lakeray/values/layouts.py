"""Where a stream's raw objects lie, and how their names tell the day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Self

from lakeray.values.keys import day_of, is_claim
from lakeray.values.model import StreamName


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a stream's raw objects lie below the raw prefix."""

    root: str
    """The folder that is the stream's alone, with a trailing slash: ``shopify/orders/``."""
    is_flat: bool = False
    """The objects lie side by side and begin with their day, ``2026_11_22_1795…_0.parquet``; others are not the
    stream's. Else any object below the root is, in folders of days or not."""

    @classmethod
    def of(cls, stream: StreamName) -> Self:
        """The layout of a stream whose config says none: everything below ``{source}/{stream}/``."""
        return cls(root=f"{stream}/")

    def holds(self, key: str) -> bool:
        """Whether an object of this name, below the root, is the stream's; a lake's claim is looked at, too."""
        return not self.is_flat or is_claim(key) or day_of(key, otherwise=date.min) != date.min

    def is_in_view(self, key: str, since: date | None) -> bool:
        """Whether a listing from day ``since`` on shows the key, if there is such an object.

        A key that is not below the root counts as in view: what was taken in from another place is missed, and told.
        """
        if key.startswith(self.root) and not self.holds(key):
            return False
        return since is None or day_of(key, otherwise=date.max) >= since


def overlapping(roots: dict[str, str]) -> tuple[str, str] | None:
    """Two streams, by name, of which one's root is in the other's, or is the same; None when there are none.

    Args:
        roots: root by stream.
    """
    ordered = sorted(roots.items(), key=lambda item: (item[1], item[0]))
    for (outer, root), (inner, below) in pairwise(ordered):
        if below.startswith(root):
            return outer, inner
    return None
