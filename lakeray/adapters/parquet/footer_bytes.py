"""What of a Parquet footer cannot be had from pyarrow: the bytes of data it promises, and its schema as it was written.

Of a damaged column chunk pyarrow makes a C++ exception that nobody catches, and the process ends. So Thrift's compact
protocol is walked over here, and what is not needed is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass

_SCHEMA, _ROW_GROUPS, _TOTAL_COMPRESSED_SIZE = 2, 4, 6
_NAME, _NUM_CHILDREN, _CONVERTED_TYPE = 4, 5, 6
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_VARINTS = (4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaElement:
    """One node of the schema as the file has it, in depth-first order; the first one is the root."""

    name: bytes
    children: int
    """0 for a leaf."""
    converted_type: int | None
    """Parquet's ConvertedType; None when the writer gave none."""


def schema_elements(footer: bytes) -> tuple[list[SchemaElement], int]:
    """The schema, and where it ends: files with the same bytes up to there have the same columns.

    Args:
        footer: as for ``promised_bytes``.

    Raises:
        IndexError, ValueError, RecursionError: it is no such struct, or has no schema.
    """
    at, field = 0, 0
    while footer[at] != 0:
        field, kind, at = _field(footer, at, field)
        if field == _SCHEMA and kind == _LIST:
            count, _, at = _list_header(footer, at)
            elements = []
            for _ in range(count):
                element, at = _schema_element(footer, at)
                elements.append(element)
            return elements, at
        at = _skip(footer, at, kind)
    raise ValueError("no schema in the footer")


def _schema_element(data: bytes, at: int) -> tuple[SchemaElement, int]:
    name, children, converted = b"", 0, None
    field = 0
    while data[at] != 0:
        field, kind, at = _field(data, at, field)
        if field == _NAME and kind == _BINARY:
            length, start = varint(data, at)
            name = data[start : start + length]
        elif field == _NUM_CHILDREN and kind in _VARINTS:
            children, _ = zigzag(data, at)
        elif field == _CONVERTED_TYPE and kind in _VARINTS:
            converted, _ = zigzag(data, at)
        at = _skip(data, at, kind)
    return SchemaElement(name=name, children=children, converted_type=converted), at + 1


def promised_bytes(footer: bytes) -> int | None:
    """The compressed size of all row groups together; None when the writer left it out.

    Args:
        footer: a FileMetaData struct, from its first byte; bytes after it are not looked at.

    Raises:
        IndexError, ValueError, RecursionError: it is no such struct.
    """
    at, field = 0, 0
    while footer[at] != 0:
        field, kind, at = _field(footer, at, field)
        if field == _ROW_GROUPS and kind == _LIST:
            return _of_groups(footer, at)
        at = _skip(footer, at, kind)
    return 0


def _of_groups(data: bytes, at: int) -> int | None:
    count, _, at = _list_header(data, at)
    total = 0
    for _ in range(count):
        size, at = _of_group(data, at)
        if size is None:
            return None
        total += size
    return total


def _of_group(data: bytes, at: int) -> tuple[int | None, int]:
    size: int | None = None
    field = 0
    while data[at] != 0:
        field, kind, at = _field(data, at, field)
        if field == _TOTAL_COMPRESSED_SIZE and kind in _VARINTS:
            size, _ = zigzag(data, at)
        at = _skip(data, at, kind)
    return size, at + 1


def _field(data: bytes, at: int, before: int) -> tuple[int, int, int]:
    head = data[at]
    step, kind = head >> 4, head & 15
    if step:
        return before + step, kind, at + 1
    number, at = zigzag(data, at + 1)
    return number, kind, at


def _list_header(data: bytes, at: int) -> tuple[int, int, int]:
    count, kind = data[at] >> 4, data[at] & 15
    if count == 15:
        count, at = varint(data, at + 1)
        return count, kind, at
    return count, kind, at + 1


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number without a sign, and where it ends.

    Raises:
        IndexError, ValueError: there is none.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits in the footer")


def zigzag(data: bytes, at: int) -> tuple[int, int]:
    """A number with a sign, and where it ends; raises as ``varint``."""
    value, at = varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _skip(data: bytes, at: int, kind: int) -> int:
    if kind in (_TRUE, _FALSE):
        return at
    if kind in _VARINTS:
        return varint(data, at)[1]
    if kind == _BINARY:
        length, at = varint(data, at)
        return at + length
    if kind == _STRUCT:
        field = 0
        while data[at] != 0:
            field, inner, at = _field(data, at, field)
            at = _skip(data, at, inner)
        return at + 1
    if kind in (_LIST, _SET):
        count, inner, at = _list_header(data, at)
        return _skip_items(data, at, (inner,) * min(count, len(data)))
    if kind == _MAP:
        count, at = varint(data, at)
        if not count:
            return at
        return _skip_items(data, at + 1, (data[at] >> 4, data[at] & 15) * min(count, len(data)))
    if kind in (_BYTE, _DOUBLE):
        return at + (1 if kind == _BYTE else 8)
    raise ValueError(f"Thrift type {kind} in the footer")


def _skip_items(data: bytes, at: int, kinds: tuple[int, ...]) -> int:
    for kind in kinds:
        at = at + 1 if kind in (_TRUE, _FALSE) else _skip(data, at, kind)  # a truth value in a list is a byte
    return at
