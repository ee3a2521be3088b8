"""Repeatable draws. Only ``random()`` is used: other methods of ``random.Random`` may change with Python's version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_Option = TypeVar("_Option")

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Draw:
    """A stream of draws that depends on nothing but its seed text."""

    __slots__ = ("random",)

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random

    def chance(self, share: float) -> bool:
        """True in ``share`` (0 to 1) of all draws."""
        return self.random() < share

    def pick(self, options: Sequence[_Option]) -> _Option:
        """One of ``options``."""
        return options[int(self.random() * len(options))]

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both inclusive."""
        return low + int(self.random() * (high - low + 1))

    def hex(self, digits: int) -> str:
        """``digits`` hexadecimal digits."""
        text = ""
        while len(text) < digits:
            text += f"{int(self.random() * 0x100000000):08x}"
        return text[:digits]

    def uuid(self) -> str:
        """A random (version 4) UUID."""
        text = self.hex(32)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def scatter(record: int, version: int) -> float:
    """A fraction (0 inclusive to 1 exclusive) for a version of a record, evenly spread, cheaper than a ``Draw``."""
    mixed = (record * 0x9E3779B1 + version * 0x85EBCA77 + 0x165667B1) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 13)) / 0x100000000


def spread_id(number: int, *, digits: int, base: int = 62) -> str:
    """A short id that looks random, another one for each number: letters and digits of base 62, 36 or 32."""
    alphabet = _BASE32 if base == 32 else _BASE62
    space = base**digits
    # The factor shares no divisor with any base in use: multiplying by it permutes the ids, so none occurs twice.
    value = (number * 6_364_136_223_846_793_009 + 1_442_695_040_888_963_407) % space
    text = ""
    for _ in range(digits):
        value, digit = divmod(value, base)
        text = alphabet[digit] + text
    return text
