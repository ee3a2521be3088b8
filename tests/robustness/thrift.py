"""Thrift's compact protocol, as far as Parquet footers and page headers need it: read into a tree, changed, written.

A struct is a dict: field number to (type, value). A list is a `Many`. Everything else is an int, a bool or bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

Struct = dict[int, tuple[int, Any]]


@dataclass
class Many:
    """A list. ``claimed`` is the length that is written, when it shall not be the true one."""

    kind: int
    items: list[Any] = field(default_factory=list)
    claimed: int | None = None


def encode(struct: Struct) -> bytes:
    """The struct's bytes; fields are written in the dict's order."""
    out = bytearray()
    last = 0
    for number, (kind, value) in struct.items():
        written = (TRUE if value else FALSE) if kind in (TRUE, FALSE) else kind
        if 0 < number - last <= 15:
            out.append((number - last) << 4 | written)
        else:
            out += bytes([written]) + varint(_zigzag(number))
        last = number
        if kind not in (TRUE, FALSE):
            out += _value(kind, value)
    return bytes(out) + b"\0"


def varint(number: int) -> bytes:
    """A number as ULEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def _value(kind: int, value: Any) -> bytes:
    if kind in (I16, I32, I64):
        return varint(_zigzag(value))
    if kind == BINARY:
        return varint(len(value)) + value
    if kind == LIST:
        size = len(value.items) if value.claimed is None else value.claimed
        head = bytes([size << 4 | value.kind]) if size < 15 else bytes([0xF0 | value.kind]) + varint(size)
        return head + b"".join(_value(value.kind, item) for item in value.items)
    if kind == STRUCT:
        return encode(value)
    if kind == DOUBLE:
        return value
    return bytes([value & 0xFF])


def _zigzag(number: int) -> int:
    return (number << 1 ^ number >> 63) & (1 << 64) - 1


def decode(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """The struct at a position, and where it ends."""
    struct: Struct = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        kind, delta = head & 15, head >> 4
        if delta:
            number += delta
        else:
            zigzag, at = _read_varint(data, at)
            number = _unzigzag(zigzag)
        if kind in (TRUE, FALSE):
            struct[number] = (TRUE, kind == TRUE)
        else:
            value, at = _read(kind, data, at)
            struct[number] = (kind, value)
    return struct, at + 1


def _read(kind: int, data: bytes, at: int) -> tuple[Any, int]:
    if kind in (I16, I32, I64):
        zigzag, at = _read_varint(data, at)
        return _unzigzag(zigzag), at
    if kind == BINARY:
        size, at = _read_varint(data, at)
        return data[at : at + size], at + size
    if kind == LIST:
        size, item = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = _read_varint(data, at)
        many = Many(item)
        for _ in range(size):
            value, at = _read(item, data, at)
            many.items.append(value)
        return many, at
    if kind == STRUCT:
        return decode(data, at)
    if kind == DOUBLE:
        return data[at : at + 8], at + 8
    return data[at], at + 1


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at


def _unzigzag(number: int) -> int:
    return number >> 1 ^ -(number & 1)
