"""The columns of a Parquet file as DuckDB reads them: its own answer, asked once for each schema.

Arrow and DuckDB see INT96, adjusted times, half floats, lists of older writers and JSON differently, and what is
registered is read by DuckDB. It is asked about a file that has the footer and nothing else. A schema that it must not
see is refused before: an error inside of it ends the process sooner or later.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Lock

import duckdb

from lakeray.adapters.parquet.footer_bytes import SchemaElement, leaf_paths, schema_elements
from lakeray.adapters.parquet.reader_errors import reason_of
from lakeray.adapters.parquet.times_of_day import Times, has_times, times_of
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, leaf_count, parse_type
from lakeray.values.globs import glob_escaped
from lakeray.values.model import Column, RejectReason
from lakeray.values.names import no_name

MAX_DECIMAL = 38
"""Digits of DuckDB's widest DECIMAL. It reads a wider one as DOUBLE, wrongly, and ends at its statistics."""
_MAX_KNOWN = 8
_MAX_LEVELS = 16
"""How deep types are nested at most (inclusive). DuckDB takes 2ⁿ steps for n lists in each other: for 45 it hangs."""
_MAP, _PAIRS, _LIST, _DECIMAL = 1, 2, 3, 5
"""Parquet's ConvertedType."""
_LOGICAL_MAP, _LOGICAL_LIST, _LOGICAL_DECIMAL, _LOGICAL_TIME, _UNTYPED, _HALF_FLOAT = 2, 3, 5, 7, 11, 15
"""Parquet's LogicalType."""
_REPEATED, _INT32 = 2, 1
_GEOMETRY = b"geo"
"""The one key of a file's own metadata by which DuckDB reads a column as another type."""
_MAGIC = b"PAR1"
_NO_ROWS = b"\x16\0\x19\x0c"
"""What follows the schema in a footer: num_rows 0, and no row groups."""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "memory_limit": "256MB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class RefusedSchema(ValueError):
    """No file of this schema can be taken in."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSchema:
    """What is known of the files of one schema."""

    columns: tuple[Column, ...]
    """In the file's order; of an untyped one, whose values are all null, the type is ``NULL``."""
    with_times: tuple[SchemaElement, ...] = field(repr=False)
    """The schema as it is written, when there are times of day in it."""

    def times(self, footer: bytes) -> Times:
        """What a footer says of the times of day in its file; raises as ``times_of``."""
        return times_of(footer, self.with_times) if self.with_times else Times.WITHIN


class KnownSchemas:
    """Columns by schema, with a memory of a few: most files of a batch have the same.

    A schema is known by its bytes: names, groups, physical, converted and logical types, repetition. Equal schemas give
    the very same tuple, so that what depends on it can be known by identity. Threads may ask at once; two that meet a
    schema first both work it out.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Ask about files in ``folder``, which are gone after each question; None for the system's own."""
        self._folder = folder
        self._known: deque[tuple[bytes, bytes | None, KnownSchema]] = deque(maxlen=_MAX_KNOWN)

    def of(self, footer: bytes, extra: Mapping[bytes, bytes] | None) -> KnownSchema:
        """What DuckDB reads of a file.

        Args:
            footer: to the file's last byte.
            extra: the footer's key-value metadata.

        Raises:
            RefusedSchema: DuckDB must not see such a file, or cannot read it.
            IndexError, ValueError, RecursionError: it has no schema, or a name that cannot be a column's.
            OSError: no file can be made in the folder.
            MemoryError: DuckDB ran out of memory.
        """
        geometry = (extra or {}).get(_GEOMETRY)
        for written, of_file, known in tuple(self._known):
            if of_file == geometry and footer.startswith(written):
                return known
        elements, end = schema_elements(footer)
        refuse(elements)
        described = _described(_alone(footer[:end], geometry), self._folder) if elements[0].children else []
        known = KnownSchema(
            columns=_columns(elements, described),
            with_times=tuple(elements) if has_times(elements) else (),
        )
        self._known.append((footer[:end], geometry, known))
        return known


def refuse(elements: Sequence[SchemaElement]) -> None:
    """Refuse a schema that DuckDB must not see.

    Raises:
        RefusedSchema: the reason, and which column it is.
    """
    for path in leaf_paths(elements):
        leaf = path[-1]
        name = ".".join(element.name.decode("utf-8", "backslashreplace")[:100] for element in path)[:300]
        if _levels(path) > _MAX_LEVELS:
            raise RefusedSchema(
                RejectReason.TOO_LARGE, f"expected columns of nested types, found more than {_MAX_LEVELS} levels"
            )
        if leaf.converted_type == _DECIMAL or leaf.logical == _LOGICAL_DECIMAL:
            _refuse_decimal(name, leaf)
        if leaf.logical == _UNTYPED and leaf.physical != _INT32:
            # Writers keep columns without a value as INT32. DuckDB's process ends at statistics of any other.
            raise RefusedSchema(RejectReason.CORRUPT, f"column {name}: expected an untyped one kept as INT32")


def _refuse_decimal(name: str, leaf: SchemaElement) -> None:
    precision, scale = leaf.precision or 0, leaf.scale or 0
    if precision > MAX_DECIMAL:
        raise RefusedSchema(
            RejectReason.UNSUPPORTED_TYPE,
            f"column {name}: expected a decimal of at most {MAX_DECIMAL} digits, found {precision}",
        )
    if not 0 <= scale <= precision or precision < 1:
        raise RefusedSchema(
            RejectReason.CORRUPT, f"column {name}: expected a possible decimal, found DECIMAL({precision},{scale})"
        )


def _levels(path: Sequence[SchemaElement]) -> int:
    """How many types are around the leaf's own: the repeated group inside a list or a map is none."""
    inside = (below.repetition == _REPEATED and _is_container(above) for above, below in pairwise(path[:-1]))
    return len(path) - 1 - sum(inside)


def _is_container(element: SchemaElement) -> bool:
    return element.converted_type in (_MAP, _PAIRS, _LIST) or element.logical in (_LOGICAL_MAP, _LOGICAL_LIST)


def _columns(elements: Sequence[SchemaElement], described: Sequence[str]) -> tuple[Column, ...]:
    names = list(_top_names(elements))
    if len(names) != len(described):
        raise ValueError(f"{len(names)} columns, of which DuckDB reads {len(described)}")
    types = [_parsed(text) for text in described]
    leaves = [path[-1] for path in leaf_paths(elements)]
    if any(leaf.logical == _UNTYPED for leaf in leaves) and sum(map(leaf_count, types)) == len(leaves):
        rest = iter(leaves)
        types = [_with_untyped(kind, rest) for kind in types]
    copied = _copied(elements)
    return tuple(
        Column(name=_checked(name), type=_named(kind), copied=number in copied)
        for number, (name, kind) in enumerate(zip(names, types, strict=True))
    )


def _copied(elements: Sequence[SchemaElement]) -> set[int]:
    """The numbers of the columns that DuckLake would take for another type than DuckDB reads, somewhere in them.

    It knows a time of day by its converted type, else only in microseconds; a half float is bytes to it.
    """
    found: set[int] = set()
    number, above = -1, None
    for path in leaf_paths(elements):
        number, above = number + (path[0] is not above), path[0]
        leaf = path[-1]
        other_time = leaf.logical == _LOGICAL_TIME and (leaf.physical == _INT32 or leaf.nanoseconds)
        if leaf.logical == _HALF_FLOAT or (other_time and leaf.converted_type is None):
            found.add(number)
    return found


def _top_names(elements: Sequence[SchemaElement]) -> Iterator[str]:
    """As the file has them: DuckDB tells apart what it takes for the same."""
    at = 1
    while at < len(elements):
        yield elements[at].name.decode()
        below = elements[at].children
        at += 1
        while below:
            below += elements[at].children - 1
            at += 1


def _parsed(text: str) -> ColumnType:
    try:
        return parse_type(text)
    except ValueError:
        return Scalar(text)  # a type that no contract can name, and no landing table have


def _with_untyped(kind: ColumnType, leaves: Iterator[SchemaElement]) -> ColumnType:
    match kind:
        case Struct(fields=parts):
            return Struct(tuple((name, _with_untyped(part, leaves)) for name, part in parts))
        case ListOf(item=item):
            return ListOf(_with_untyped(item, leaves))
        case MapOf(key=key, value=value):
            return MapOf(_with_untyped(key, leaves), _with_untyped(value, leaves))
        case _:
            return Scalar("NULL") if next(leaves).logical == _UNTYPED else kind


def _named(kind: ColumnType) -> ColumnType:
    """The type, if its fields' names can be a table's."""
    match kind:
        case Struct(fields=parts):
            for name, part in parts:
                _checked(name)
                _named(part)
        case ListOf(item=item):
            _named(item)
        case MapOf(key=key, value=value):
            _named(key)
            _named(value)
        case _:
            pass
    return kind


def _checked(name: str) -> str:
    why = no_name(name)
    if why is not None:
        raise ValueError(f"a column or a field with {why}: {name[:20]!r}")
    return name


def _alone(written: bytes, geometry: bytes | None) -> bytes:
    """A file's footer with its schema and nothing else: the answer depends on the schema alone."""
    pairs = b""
    if geometry is not None:
        texts = b"".join(b"\x18" + _varint(len(text)) + text for text in (_GEOMETRY, geometry))
        pairs = b"\x19\x1c" + texts + b"\0"
    footer = written + _NO_ROWS + pairs + b"\0"
    return footer + len(footer).to_bytes(4, "little") + _MAGIC


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


_asking = Lock()


@lru_cache(maxsize=1)
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config=_CONFIG)


def _described(footer: bytes, folder: Path | None) -> list[str]:
    """The types as DuckDB writes them."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".parquet") as file, _asking:
        file.write(_MAGIC + footer)
        file.flush()
        try:
            rows = _connection().execute("DESCRIBE SELECT * FROM parquet_scan(?)", [glob_escaped(file.name)]).fetchall()
        except duckdb.Error as error:
            _connection.cache_clear()  # after some errors it serves nothing more
            raise RefusedSchema(*reason_of(error)) from error
    return [row[1] for row in rows]
