"""What of a Parquet footer cannot be had from pyarrow: the bytes of data it promises, and its schema as it was written.

Of a damaged column chunk pyarrow makes a C++ exception that nobody catches, and the process ends. So Thrift's compact
protocol is walked over here, and what is not needed is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SCHEMA, _ROW_GROUPS, _TOTAL_COMPRESSED_SIZE = 2, 4, 6
_NAME, _LOGICAL_TYPE = 4, 10
_NUMBERS = {1: "physical", 3: "repetition", 5: "children", 6: "converted_type", 7: "scale", 8: "precision"}
"""Fields of a schema element that are numbers, and what they are called here."""
_LOGICAL_DECIMAL, _LOGICAL_TIME = 5, 7
_NANOSECONDS = 3
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
    physical: int | None = None
    """Parquet's Type; None for a group."""
    repetition: int | None = None
    """0 required, 1 optional, 2 repeated."""
    logical: int | None = None
    """Which of Parquet's logical types: the number of its field in the union; None when the writer gave none."""
    precision: int | None = None
    """Digits of a decimal, the larger number where the writer gave two."""
    scale: int | None = None
    nanoseconds: bool = False
    """Whether it is a time in nanoseconds."""


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


def leaf_paths(elements: Sequence[SchemaElement]) -> Iterator[tuple[SchemaElement, ...]]:
    """Each leaf with the groups around it, the root left out; without recursion, for a file is as deep as it likes."""
    path: list[SchemaElement] = []
    left: list[int] = [elements[0].children if elements else 0]
    for element in elements[1:]:
        while left and left[-1] == 0:
            left.pop()
            del path[len(left) - 1 :]
        if not left or element.children < 0:
            raise ValueError("the schema's elements are not as many as it says")
        left[-1] -= 1
        path.append(element)
        left.append(element.children)
        if element.children == 0:
            yield tuple(path)
    if any(left):
        raise ValueError("the schema's elements are fewer than it says")


def _schema_element(data: bytes, at: int) -> tuple[SchemaElement, int]:
    name, logical = b"", None
    numbers: dict[str, int] = {}
    field = 0
    while data[at] != 0:
        field, kind, at = _field(data, at, field)
        if field == _NAME and kind == _BINARY:
            length, start = varint(data, at)
            name = data[start : start + length]
        elif field in _NUMBERS and kind in _VARINTS:
            numbers[_NUMBERS[field]], _ = zigzag(data, at)
        elif field == _LOGICAL_TYPE and kind == _STRUCT:
            logical, decimal = _logical_type(data, at)
            numbers |= {key: max(value, numbers.get(key, value)) for key, value in decimal.items()}
        at = _skip(data, at, kind)
    element = SchemaElement(
        name=name,
        children=numbers.get("children", 0),
        converted_type=numbers.get("converted_type"),
        physical=numbers.get("physical"),
        repetition=numbers.get("repetition"),
        logical=logical,
        precision=numbers.get("precision"),
        scale=numbers.get("scale"),
        nanoseconds="nanoseconds" in numbers,
    )
    return element, at + 1


def _logical_type(data: bytes, at: int) -> tuple[int | None, dict[str, int]]:
    """Which one it is, and the digits of a decimal, or whether it is a time in nanoseconds."""
    if data[at] == 0:
        return None, {}
    which, kind, at = _field(data, at, 0)
    numbers: dict[str, int] = {}
    if which == _LOGICAL_DECIMAL and kind == _STRUCT:
        field = 0
        while data[at] != 0:
            field, inner, at = _field(data, at, field)
            if field in (1, 2) and inner in _VARINTS:
                numbers["scale" if field == 1 else "precision"], _ = zigzag(data, at)
            at = _skip(data, at, inner)
    if which == _LOGICAL_TIME and kind == _STRUCT:
        unit = _sought(data, at, (2,))
        if unit is not None and data[unit] >> 4 == _NANOSECONDS:
            numbers["nanoseconds"] = 1
    return which, numbers


def bounds_of(footer: bytes, leaf: int) -> list[tuple[bytes | None, ...]] | None:
    """A column's statistics as they are written, of each row group: max, min, max_value, min_value.

    None for what is not there; None for all when a row group has no such column.

    Args:
        footer: as for ``promised_bytes``.
        leaf: its number among the columns without parts.

    Raises:
        IndexError, ValueError, RecursionError: it is no such struct.
    """
    groups = _sought(footer, 0, (_ROW_GROUPS,))
    if groups is None:
        return []
    count, _, at = _list_header(footer, groups)
    found = []
    for _ in range(count):
        chunks = _sought(footer, at, (1,))
        if chunks is None:
            return None
        columns, _, chunk = _list_header(footer, chunks)
        if leaf >= columns:
            return None
        for _ in range(leaf):
            chunk = _skip(footer, chunk, _STRUCT)
        statistics = _sought(footer, chunk, (3, 12))
        found.append((None,) * 4 if statistics is None else _four_bounds(footer, statistics))
        at = _skip(footer, at, _STRUCT)
    return found


def codecs_of(footer: bytes) -> set[int]:
    """The numbers of the codecs of all column chunks.

    Args:
        footer: as for ``promised_bytes``.

    Raises:
        IndexError, ValueError, RecursionError: it is no such struct.
    """
    groups = _sought(footer, 0, (_ROW_GROUPS,))
    if groups is None:
        return set()
    found: set[int] = set()
    count, _, at = _list_header(footer, groups)
    for _ in range(count):
        chunks = _sought(footer, at, (1,))
        columns, _, chunk = (0, 0, at) if chunks is None else _list_header(footer, chunks)
        for _ in range(columns):
            codec = _sought(footer, chunk, (3, 4))
            if codec is not None:
                found.add(zigzag(footer, codec)[0])
            chunk = _skip(footer, chunk, _STRUCT)
        at = _skip(footer, at, _STRUCT)
    return found


def _sought(data: bytes, at: int, path: tuple[int, ...]) -> int | None:
    """Where a field of a struct begins, or of a struct in it; None when there is none."""
    field = 0
    while data[at] != 0:
        field, kind, at = _field(data, at, field)
        if field == path[0]:
            return at if len(path) == 1 else _sought(data, at, path[1:])
        at = _skip(data, at, kind)
    return None


def _four_bounds(data: bytes, at: int) -> tuple[bytes | None, ...]:
    found: dict[int, bytes] = {}
    field = 0
    while data[at] != 0:
        field, kind, at = _field(data, at, field)
        if kind == _BINARY:
            length, start = varint(data, at)
            found[field] = data[start : start + length]
        at = _skip(data, at, kind)
    return tuple(found.get(number) for number in (1, 2, 5, 6))


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
