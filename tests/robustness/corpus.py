"""Some three hundred Parquet files that are bad, each in its own way, the same ones every time. A few are only odd."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.robustness.thrift import BINARY, I16, I32, I64, LIST, STRUCT, TRUE, Many, Struct, decode, encode

MAGIC = b"PAR1"
BIGGEST = 2**63 - 1
VERSION, SCHEMA, ROWS, GROUPS, PAIRS = 1, 2, 3, 4, 5
"""Fields of FileMetaData."""
ROOT, ID, STRUCT_AT = 0, 4, 7
"""Places in a good file's schema."""
LAST = 7
"""Its last column chunk."""
_ATTRIBUTES = pa.struct([("name", pa.string()), ("integration", pa.string())])

Corpus = Iterator[tuple[str, bytes]]
Change = Callable[[Struct], None]


def good(rows: int = 3, *, first: int = 0, **options: Any) -> bytes:
    """A file of klaviyo/metrics as Airbyte writes it, with `rows` records."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    numbers = range(first, first + rows)
    return written(
        {
            "_airbyte_raw_id": pa.array([f"{number:08d}" for number in numbers]),
            "_airbyte_extracted_at": pa.array([start] * rows, pa.timestamp("ms", tz="UTC")),
            "_airbyte_generation_id": pa.array([1] * rows, pa.int64()),
            "id": pa.array([f"key{number}" for number in numbers]),
            "type": pa.array(["metric"] * rows),
            "updated": pa.array([start + timedelta(hours=number) for number in numbers], pa.timestamp("us", tz="UTC")),
            "attributes": pa.array([{"name": f"name {number}"} for number in numbers], _ATTRIBUTES),
        },
        **options,
    )


def written(columns: dict[str, pa.Array], **options: Any) -> bytes:
    """A Parquet file with these columns."""
    return table_bytes(pa.table(columns), **options)


def table_bytes(table: pa.Table, **options: Any) -> bytes:
    """The table as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def split(file: bytes) -> tuple[bytes, bytes]:
    """A file's data, magic number included, and its footer."""
    length = int.from_bytes(file[-8:-4], "little")
    return file[: -8 - length], file[-8 - length : -8]


def joined(data: bytes, footer: bytes, *, length: int | None = None, magic: bytes = MAGIC) -> bytes:
    """A file of these parts. ``length`` is the footer's length that the file claims."""
    claimed = len(footer) if length is None else length
    return data + footer + (claimed & 0xFFFFFFFF).to_bytes(4, "little") + magic


def changed(file: bytes, change: Change) -> bytes:
    """The file with another footer."""
    data, footer = split(file)
    meta, _ = decode(footer)
    meta = deepcopy(meta)
    change(meta)
    return joined(data, encode(meta))


def corpus() -> Corpus:
    """Every file, with a name that says what is wrong with it."""
    for part in (_cut_off, _magic, _garbage, _lengths, _flipped, _footers, _schemas, _written_odd, _pages):
        yield from part()


def _cut_off() -> Corpus:
    file = good()
    footer_at = len(split(file)[0])
    for size in sorted({0, 1, 3, 4, 7, 8, 11, 12, 13, 100, footer_at - 1, footer_at, footer_at + 1, footer_at + 40}):
        yield f"cut off after {size}", file[:size]
    for missing in (1, 2, 3, 4, 5, 8, 9, 40, 400):
        yield f"cut off {missing} before the end", file[:-missing]
    yield "cut off at both ends", file[50:-50]
    yield "middle missing", file[:100] + file[200:]
    yield "twice", file + file
    yield "zeros after it", file + bytes(64)
    yield "zeros in place of the footer", file[:footer_at] + bytes(len(file) - footer_at)


def _magic() -> Corpus:
    file = good()
    yield "wrong head", b"PAR2" + file[4:]
    yield "wrong tail", file[:-4] + b"PAR2"
    yield "lower case", b"par1" + file[4:-4] + b"par1"
    yield "encrypted tail", file[:-4] + b"PARE"
    yield "encrypted", b"PARE" + file[4:-4] + b"PARE"
    for name, text in (
        ("csv", b"id,type\n1,metric\n" * 20),
        ("json", b'{"id": 1}\n' * 20),
        ("html", b"<html><body>503 Slow Down</body></html>"),
        ("gzip", b"\x1f\x8b\x08\x00" + bytes(200)),
        ("spaces", b" " * 500),
    ):
        yield f"{name} instead", text


def _garbage() -> Corpus:
    for seed in range(8):
        for size in (1, 20, 300, 5000, 100_000):
            noise = random.Random(f"{seed} {size}").randbytes(size)
            yield f"noise {seed} of {size} bytes", joined(MAGIC, noise)
    yield "0xff footer", joined(MAGIC, b"\xff" * 1000)
    yield "zero footer", joined(MAGIC, bytes(1000))
    yield "structs without an end", joined(MAGIC, b"\x1c" * 3000)
    yield "lists without an end", joined(MAGIC, b"\x19\xf9" + b"\xf9\xff\xff\xff\x7f" * 500)


def _lengths() -> Corpus:
    data, footer = split(good())
    true = len(footer)
    for lie in (0, 1, 8, true - 1, true + 1, true // 2, true * 2, true + len(data), 2**24, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"footer length {lie}", joined(data, footer, length=lie)


def _flipped() -> Corpus:
    data, footer = split(good())
    for at in range(0, len(footer), max(1, len(footer) // 90)):
        flipped = bytearray(footer)
        flipped[at] ^= 1 << at % 8
        yield f"bit {at % 8} of footer byte {at}", joined(data, bytes(flipped))
    for at in range(0, min(80, len(footer)), 4):
        yield f"footer byte {at} is 0xff", joined(data, footer[:at] + b"\xff" + footer[at + 1 :])


def _footers() -> Corpus:
    file = good()

    def grow(field: int, size: int) -> Change:
        def change(meta: Struct) -> None:
            meta[field][1].claimed = size

        return change

    for field, what in ((SCHEMA, "schema elements"), (GROUPS, "row groups"), (PAIRS, "key-value pairs")):
        for size in (1000, 100_000, 999_999, 10_000_000, 2**31 - 1):
            yield f"{size} {what} claimed", changed(file, grow(field, size))
        yield f"no {what}", changed(file, lambda meta, field=field: meta.__setitem__(field, _list()))
        yield f"without {what}", changed(file, lambda meta, field=field: meta.pop(field))
    for rows in (-1, 0, 2, 4, 2**31, BIGGEST, -BIGGEST - 1):
        yield f"{rows} rows in the footer", changed(file, _put((), ROWS, I64, rows))
        yield f"{rows} rows in the row group", changed(file, _put((GROUPS, 0), 3, I64, rows))
    yield "row count missing", changed(file, lambda meta: meta.pop(ROWS))
    for size in (-1, 2**40, BIGGEST):
        yield f"row group of {size} bytes", changed(file, _put((GROUPS, 0), 2, I64, size))
        for field, what in ((6, "uncompressed size"), (7, "compressed size"), (9, "data page offset")):
            yield f"{what} {size}", changed(file, _put((GROUPS, 0, 1, 3, 3), field, I64, size))
            yield f"{what} {size} in the last column", changed(file, _put((GROUPS, 0, 1, LAST, 3), field, I64, size))
    yield "dictionary after the data", changed(file, _put((GROUPS, 0, 1, 3, 3), 11, I64, 10**6))
    yield "dictionary at -4", changed(file, _put((GROUPS, 0, 1, LAST, 3), 11, I64, -4))
    yield "columns at the same place", changed(file, _overlapping)
    yield "a column chunk too few", changed(file, lambda meta: meta[GROUPS][1].items[0][1][1].items.pop())
    yield "a column chunk too many", changed(file, _one_more_chunk)
    yield "every row group twice", changed(file, _groups_twice)
    yield "column in another file", changed(file, _put((GROUPS, 0, 1, 3), 1, BINARY, b"../../other.parquet"))
    yield "unknown codec", changed(file, _put((GROUPS, 0, 1, 3, 3), 4, I32, 99))
    yield "unknown physical type", changed(file, _put((GROUPS, 0, 1, 3, 3), 1, I32, 77))
    yield "other physical type in the last column", changed(file, _put((GROUPS, 0, 1, LAST, 3), 1, I32, 1))
    yield "other physical type than the schema", changed(file, _put((GROUPS, 0, 1, 3, 3), 1, I32, 1))
    yield "column of another path", changed(file, _put((GROUPS, 0, 1, 3, 3), 3, LIST, Many(BINARY, [b"no", b"where"])))
    yield "values claimed 2**62", changed(file, _put((GROUPS, 0, 1, 3, 3), 5, I64, 2**62))
    yield "chunk metadata missing", changed(file, lambda meta: _at(meta, (GROUPS, 0, 1, 3)).pop(3))
    yield "encodings claimed 2**20", changed(file, _put((GROUPS, 0, 1, 3, 3), 2, LIST, Many(I32, [0], claimed=2**20)))
    yield "version 2**31-1", changed(file, _put((), VERSION, I32, 2**31 - 1))
    yield "unknown field", changed(file, _put((), 99, BINARY, b"x" * 100_000))
    yield "wrong kind of field", changed(file, _put((), SCHEMA, BINARY, b"schema"))
    yield "kilobytes of text after the footer", joined(*(lambda d, f: (d, f + b"z" * 5000))(*split(file)))
    yield "key of 8 MB", changed(file, _pairs([(b"k" * 8_000_000, b"v")]))
    yield "value of 40 MB", changed(file, _pairs([(b"k", b"v" * 40_000_000)]))
    yield "100,000 pairs", changed(file, _pairs([(b"k%d" % number, b"v") for number in range(100_000)]))
    yield "Arrow schema of noise", changed(file, _pairs([(b"ARROW:schema", b"/////" + b"A" * 500)]))
    yield "Arrow schema not base64", changed(file, _pairs([(b"ARROW:schema", b"\xff\x00\xfe")]))
    yield "Arrow schema of other columns", changed(file, _arrow_schema_of(pa.schema([("x", pa.int64())])))
    yield "Arrow schema of other types", changed(file, _arrow_schema_of(_other_types(file)))
    for name, pair in (
        ("NaN", (b"\x00\x00\x00\x00\x00\x00\xf8\x7f",) * 2),
        ("infinite", (b"\x00\x00\x00\x00\x00\x00\xf0\x7f", b"\x00\x00\x00\x00\x00\x00\xf0\xff")),
        ("of the wrong width", (b"\x01", b"\x01\x02\x03")),
        ("of 5 MB", (b"m" * 5_000_000, b"m" * 5_000_000)),
        ("empty", (b"", b"")),
        ("not UTF-8", (b"\xff\xfe\xfd", b"\xff\xfe\xfc")),
        ("min above max", (b"aaa", b"zzz")),
    ):
        for column, what in ((3, "id"), (2, "generation"), (5, "updated")):
            yield f"statistics of {what} {name}", changed(file, _statistics(column, *pair))
    yield "-5 nulls", changed(file, _put((GROUPS, 0, 1, 3, 3, 12), 3, I64, -5))
    yield "2**63-1 nulls", changed(file, _put((GROUPS, 0, 1, 3, 3, 12), 3, I64, BIGGEST))


def _schemas() -> Corpus:
    file = good()
    for children in (-1, 0, 1, 6, 8, 1000, 2**31 - 1, -(2**31)):
        yield f"root with {children} children", changed(file, _put((SCHEMA, ROOT), 5, I32, children))
        yield f"id with {children} children", changed(file, _put((SCHEMA, ID), 5, I32, children))
    yield "struct that holds what follows it", changed(file, _put((SCHEMA, STRUCT_AT), 5, I32, 50))
    yield "root without children count", changed(file, lambda meta: _at(meta, (SCHEMA, ROOT)).pop(5))
    yield "root missing", changed(file, lambda meta: meta[SCHEMA][1].items.pop(0))
    yield "root is a leaf", changed(file, _put((SCHEMA, ROOT), 1, I32, 2))
    yield "root repeated", changed(file, _put((SCHEMA, ROOT), 3, I32, 2))
    yield "id repeated", changed(file, _put((SCHEMA, ID), 3, I32, 2))
    yield "leaf without a type", changed(file, lambda meta: _at(meta, (SCHEMA, ID)).pop(1))
    yield "leaf without a name", changed(file, lambda meta: _at(meta, (SCHEMA, ID)).pop(4))
    yield "empty name", changed(file, _put((SCHEMA, ID), 4, BINARY, b""))
    yield "name not UTF-8", changed(file, _put((SCHEMA, ID), 4, BINARY, b"id\xff\xfe"))
    yield "name of a struct's field not UTF-8", changed(file, _put((SCHEMA, 8), 4, BINARY, b"\xc3\x28"))
    yield "new column's name not UTF-8", changed(file, _new_leaf(b"caf\xe9"))
    yield "name with zero bytes", changed(file, _new_leaf(b"a\0b"))
    yield "name with quotes and newlines", changed(file, _new_leaf(b'"); DROP TABLE x; --\n\'"'))
    yield "name with dots", changed(file, _new_leaf(b"a.b.c"))
    yield "name of 5 MB", changed(file, _new_leaf(b"n" * 5_000_000))
    yield "name like a metadata column", changed(file, _new_leaf(b"_airbyte_raw_id"))
    yield "name twice but for its case", changed(file, _new_leaf(b"ID"))
    for kind in (-1, 3, 8, 99):
        yield f"physical type {kind}", changed(file, _put((SCHEMA, ID), 1, I32, kind))
    for kind in (-1, 5, 22, 23, 4000):
        yield f"converted type {kind}", changed(file, _put((SCHEMA, ID), 6, I32, kind))
    for field in range(20):
        yield f"logical type {field}", changed(file, _put((SCHEMA, ID), 10, STRUCT, {field: (STRUCT, {})}))
    yield "logical type of nothing", changed(file, _put((SCHEMA, ID), 10, STRUCT, {}))
    yield "decimal(99,120)", changed(file, _decimal(99, 120))
    yield "decimal(-3,-9)", changed(file, _decimal(-3, -9))
    yield "fixed length -1", changed(file, _fixed(-1))
    yield "fixed length 2**31-1", changed(file, _fixed(2**31 - 1))
    yield "fixed length 0", changed(file, _fixed(0))
    yield "map of one child", changed(file, _put((SCHEMA, STRUCT_AT), 6, I32, 1))
    yield "list of leaves", changed(file, _put((SCHEMA, ID), 6, I32, 3))
    for depth in (40, 99, 101, 500, 20_000):
        yield f"structs nested {depth} levels", nested_footer(depth, repeated=False)
        yield f"lists nested {depth} levels", nested_footer(depth, repeated=True)
    for wide in (1_000, 20_000):
        yield f"{wide} columns in the schema alone", flat_footer(wide)
    yield "1,000,000 schema elements", _many_elements(1_000_000)
    yield "1,000,000 row groups", _many_groups(1_000_000)
    yield "1,000,000 column chunks", _many_chunks(1_000_000)
    yield "schema of the root alone", flat_footer(0)


def _written_odd() -> Corpus:
    column = pa.array([1, 2, 3])
    yield "no rows", good(0)
    yield "no columns", table_bytes(pa.table({}))
    yield "no columns but rows", changed(table_bytes(pa.table({})), _put((), ROWS, I64, 7))
    yield "another stream's columns", written({"sku": column, "price": column})
    yield "column names twice", table_bytes(pa.Table.from_arrays([column, column], names=["id", "id"]))
    yield "11,000 columns", written({**_keys(), **{f"c{number}": column for number in range(11_000)}})
    yield "1,500 columns", written({**_keys(), **{f"c{number}": column for number in range(1_500)}})
    yield "500 row groups", good(500, row_group_size=1)
    nested: pa.DataType = pa.int64()
    for level in range(45):
        nested = pa.list_(nested) if level % 3 else pa.struct([(f"level {level}", nested), ("x", pa.string())])
    yield "45 levels", written({**_keys(), "deep": pa.array([None] * 3, nested)})
    maps = pa.map_(pa.string(), pa.map_(pa.string(), pa.map_(pa.string(), pa.list_(pa.int64()))))
    yield "maps of maps", written({**_keys(), "deep": pa.array([None] * 3, maps)})
    yield "id is a number", written({**_keys(), "id": column})
    yield "id is a list", written({**_keys(), "id": pa.array([[1], [2], [3]])})
    yield "id is null", written({**_keys(), "id": pa.nulls(3)})
    yield "times are texts", written({**_keys(), "updated": pa.array(["yesterday"] * 3)})
    yield "attributes is a text", written({**_keys(), "attributes": pa.array(["{}"] * 3)})
    yield "nothing has a type", written({name: pa.nulls(3) for name in _keys()})
    yield "interval", written({**_keys(), "lasts": pa.array([1, 2, 3], pa.duration("ns"))})
    yield "bare milliseconds", written({**_keys(), "_airbyte_extracted_at": column})
    yield "milliseconds out of range", written({**_keys(), "_airbyte_extracted_at": pa.array([BIGGEST] * 3)})
    yield "not-a-number and infinity", written({**_keys(), "n": pa.array([float("nan"), float("inf"), -float("inf")])})
    yield "unsigned", written({**_keys(), "n": pa.array([2**64 - 1] * 3, pa.uint64())})


def _pages() -> Corpus:
    file = good(200, compression="none", use_dictionary=False)
    packed = good(200, compression="zstd")
    for name, base in (("plain", file), ("packed", packed)):
        data, footer = split(base)
        for at in range(40, len(data), len(data) // 12):
            damaged = bytearray(data)
            damaged[at : at + 6] = bytes(byte ^ 0x5A for byte in damaged[at : at + 6])
            yield f"{name} pages damaged at {at}", joined(bytes(damaged), footer)
        yield f"{name} pages zeroed", joined(MAGIC + bytes(len(data) - 4), footer)
    for size in (0, -1, 2**31 - 1, 2**30):
        yield f"page that unpacks to {size} bytes", with_page(packed, lambda head, size=size: _set(head, 2, I32, size))
        yield f"page of {size} packed bytes", with_page(packed, lambda head, size=size: _set(head, 3, I32, size))
        yield f"page of {size} values", with_page(packed, lambda head, size=size: _set(head[5][1], 1, I32, size))
    yield "page of another kind", with_page(packed, lambda head: _set(head, 1, I32, 17))
    yield "bomb", bomb()


def bomb(megabytes: int = 100) -> bytes:
    """A small file, honest in every field, whose one text takes so many megabytes once it is unpacked."""
    text = pa.array([None, None, "0" * (megabytes * 1_000_000)])
    return written({**_keys(), "type": text}, compression="zstd", use_dictionary=False, write_statistics=False)


def nested_footer(depth: int, *, repeated: bool) -> bytes:
    """A file without rows whose one column lies so deep."""
    inner = [_element(b"a", children=1, repetition=2 if repeated else 1) for _ in range(depth)]
    return _only_schema([_element(b"schema", children=1), *inner, _element(b"x", kind=2)])


def flat_footer(columns: int) -> bytes:
    """A file without rows and with so many columns."""
    leaves = [_element(b"c%d" % number, kind=2) for number in range(columns)]
    return _only_schema([_element(b"schema", children=columns), *leaves])


def _only_schema(elements: list[Struct]) -> bytes:
    meta: Struct = {
        VERSION: (I32, 2),
        SCHEMA: (LIST, Many(STRUCT, elements)),
        ROWS: (I64, 0),
        GROUPS: (LIST, Many(STRUCT)),
    }
    return joined(MAGIC, encode(meta))


def _many_elements(count: int) -> bytes:
    head: Struct = {VERSION: (I32, 2), SCHEMA: (LIST, Many(STRUCT, [], claimed=count + 1))}
    leaves = encode(_element(b"x", kind=2)) * count
    rest = b"\x16\x00\x19\x0c\x00"  # no rows in no row groups
    return joined(MAGIC, encode(head)[:-1] + encode(_element(b"schema", children=count)) + leaves + rest)


def _many_groups(count: int) -> bytes:
    group = encode({1: (LIST, Many(STRUCT)), 2: (I64, 0), 3: (I64, 0)})
    return _spliced(GROUPS, group * count, count)


def _many_chunks(count: int) -> bytes:
    chunk = encode({2: (I64, 0)})
    head = encode({1: (LIST, Many(STRUCT, [], claimed=count))})[:-1]
    return _spliced(GROUPS, head + chunk * count + encode({2: (I64, 0), 3: (I64, 0)}), 1)


def _spliced(field: int, items: bytes, count: int) -> bytes:
    """A million structs, without a million dicts."""
    leaf = _element(b"x", kind=2)
    before: Struct = {
        VERSION: (I32, 2),
        SCHEMA: (LIST, Many(STRUCT, [_element(b"schema", children=1), leaf])),
        ROWS: (I64, 0),
        field: (LIST, Many(STRUCT, [], claimed=count)),
    }
    return joined(MAGIC, encode(before)[:-1] + items + b"\0")


def _element(name: bytes, *, children: int | None = None, kind: int | None = None, repetition: int = 1) -> Struct:
    element: Struct = {} if kind is None else {1: (I32, kind)}
    element |= {3: (I32, repetition), 4: (BINARY, name)}
    return element if children is None else element | {5: (I32, children)}


def _keys() -> dict[str, pa.Array]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "_airbyte_raw_id": pa.array(["a", "b", "c"]),
        "_airbyte_extracted_at": pa.array([start] * 3, pa.timestamp("ms", tz="UTC")),
        "id": pa.array(["odd1", "odd2", "odd3"]),
        "type": pa.array(["metric"] * 3),
        "updated": pa.array([start] * 3, pa.timestamp("us", tz="UTC")),
    }


def _list() -> tuple[int, Many]:
    return LIST, Many(STRUCT)


def _at(meta: Struct, path: tuple[int, ...]) -> Any:
    """The struct at a path: a field's number, then an item's where the field is a list."""
    here: Any = meta
    steps = iter(path)
    for step in steps:
        here = here[step][1]
        if isinstance(here, Many):
            here = here.items[next(steps)]
    return here


def _set(struct: Struct, field: int, kind: int, value: Any) -> None:
    struct[field] = (kind, value)
    ordered = sorted(struct.items())
    struct.clear()
    struct.update(ordered)


def _put(path: tuple[int, ...], field: int, kind: int, value: Any) -> Change:
    return lambda meta: _set(_at(meta, path), field, kind, value)


def _pairs(pairs: list[tuple[bytes, bytes]]) -> Change:
    items = [{1: (BINARY, key), 2: (BINARY, value)} for key, value in pairs]
    return _put((), PAIRS, LIST, Many(STRUCT, items))


def _arrow_schema_of(schema: pa.Schema) -> Change:
    import base64

    return _pairs([(b"ARROW:schema", base64.b64encode(schema.serialize().to_pybytes()))])


def _other_types(file: bytes) -> pa.Schema:
    schema = pq.read_schema(pa.BufferReader(file))
    return pa.schema([(name, pa.decimal256(70, 3)) for name in schema.names])


def _statistics(column: int, least: bytes, most: bytes) -> Change:
    value: Struct = {3: (I64, 0), 5: (BINARY, least), 6: (BINARY, most), 7: (TRUE, True), 8: (TRUE, True)}
    return _put((GROUPS, 0, 1, column, 3), 12, STRUCT, value)


def _new_leaf(name: bytes) -> Change:
    """Rename the column ``type``: the file then has a column that the landing table lacks."""

    def change(meta: Struct) -> None:
        _set(_at(meta, (SCHEMA, 5)), 4, BINARY, name)
        _set(_at(meta, (GROUPS, 0, 1, 4, 3)), 3, LIST, Many(BINARY, [name]))
        meta.pop(PAIRS)

    return change


def _decimal(precision: int, scale: int) -> Change:
    def change(meta: Struct) -> None:
        element = _at(meta, (SCHEMA, ID))
        element.pop(10, None)
        for field, value in ((6, 5), (7, scale), (8, precision)):
            _set(element, field, I32, value)

    return change


def _fixed(length: int) -> Change:
    def change(meta: Struct) -> None:
        element = _at(meta, (SCHEMA, ID))
        element.pop(10, None)
        element.pop(6, None)
        _set(element, 1, I32, 7)
        _set(element, 2, I32, length)

    return change


def _overlapping(meta: Struct) -> None:
    chunks = _at(meta, (GROUPS, 0))[1][1].items
    first = chunks[0][3][1][9]
    for chunk in chunks:
        chunk[3][1][9] = first
        chunk[3][1].pop(11, None)


def _one_more_chunk(meta: Struct) -> None:
    chunks = _at(meta, (GROUPS, 0))[1][1].items
    chunks.append(deepcopy(chunks[-1]))


def _groups_twice(meta: Struct) -> None:
    groups = meta[GROUPS][1].items
    groups.append(deepcopy(groups[0]))
    _set(groups[1], 7, I16, 1)


def with_page(file: bytes, change: Change) -> bytes:
    """The file with another header on the last column's data page; offsets stay right, for it is the last."""
    data, footer = split(file)
    meta, _ = decode(footer)
    chunk = _at(meta, (GROUPS, 0))[1][1].items[-1][3][1]
    at = chunk[9][1]
    head, end = decode(data, at)
    change(head)
    fresh = encode(head)
    chunk[7] = (I64, chunk[7][1] + len(fresh) - (end - at))
    return joined(data[:at] + fresh + data[end:], encode(meta))
