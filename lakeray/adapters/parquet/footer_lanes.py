"""Column chunk statistics of many Parquet footers at once, read in lanes: one lane per column chunk.

A Shopify orders file has 635 column chunks, and reading their statistics one by one costs longer than everything else
that is done with the file. Here all chunks of some files are walked together, a field at a time, by numpy. The walk
knows only what every writer does (Thrift's compact protocol, fields in ascending order); a footer in which a chunk
looks otherwise is left to whoever asked: it is ``None``, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LIST, _I32, _I64, _STRUCT, _BINARY, _TRUE, _FALSE = 9, 5, 6, 12, 8, 1, 2
_PATH_HEAD = bytes([1 << 4 | _LIST])
_PATH_TAIL = bytes([1 << 4 | _I32])
_SHORT_LIST = 14
"""Items of a compact list whose header is one octet (inclusive)."""
_ONE_OCTET = 127
"""The largest length that is one octet (inclusive)."""
_PADDING = 16
_LAST_TYPE, _LAST_ENCODING, _LAST_CODEC = 7, 9, 7
"""The last of Parquet's physical types, encodings and codecs; of a number beyond them DuckLake says what it thinks."""
UNREAD_CODECS = {3: "LZO", 5: "LZ4 as Hadoop writes it"}
"""Those of Parquet's codecs that DuckDB does not read, by number: a chunk of one is not sound."""
_MAX_ENCODINGS = 8
_MAX_ITEMS = 64
"""Items of a list inside a chunk (inclusive) for the quick way."""

Numbers = npt.NDArray[np.int64]
Lanes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """What the footers say of their column chunks. All arrays have the shape (files, leaves)."""

    data: bytes
    """All footers, one after the other; what ``*_at`` points into."""
    sound: npt.NDArray[np.bool_]
    """Whether the chunk was read; what the others say of an unsound one means nothing."""
    values: Numbers
    """num_values: nulls counted."""
    nulls: Numbers
    """null_count; -1 when the writer left it out."""
    size_bytes: Numbers
    """total_compressed_size."""
    min_at: Numbers
    min_bytes: Numbers
    """Length of the lower bound; -1 when there is none."""
    max_at: Numbers
    max_bytes: Numbers


def path_pattern(parts: Sequence[bytes]) -> bytes | None:
    """A column chunk's path as its writer encodes it, with the header of the field before and after it.

    None for a path with a very long name.
    """
    if not 0 < len(parts) <= _ONE_OCTET or any(len(part) > _ONE_OCTET for part in parts):
        return None
    short = len(parts) <= _SHORT_LIST
    count = bytes([len(parts) << 4 | _BINARY]) if short else bytes([15 << 4 | _BINARY, len(parts)])
    return _PATH_HEAD + count + b"".join(bytes([len(part)]) + part for part in parts) + _PATH_TAIL


def find_chunks(footer: bytes, *, after: int, patterns: tuple[bytes, ...]) -> list[int] | None:
    """Where each chunk goes on after its path; None unless each path occurs exactly once, in the leaves' order.

    A valid footer of one row group has every path once in its place, so paths that are found only once are found in
    their place, whatever the rest of the footer holds.

    Args:
        after: where the schema ends.
    """
    octets = np.frombuffer(footer, np.uint8)
    heads = np.flatnonzero((octets[:-1] == _PATH_HEAD[0]) & ((octets[1:] & 15) == _BINARY))
    found: list[int] = []
    wanted = 0
    for at in heads[np.searchsorted(heads, after) :].tolist():
        if wanted < len(patterns) and footer.startswith(patterns[wanted], at):
            found.append(at + len(patterns[wanted]) - 1)
            wanted += 1
        elif footer.startswith(patterns, at):
            return None
    return found if wanted == len(patterns) else None


def read_chunks(footers: Sequence[bytes], places: Sequence[Sequence[int]], *, patterns: tuple[bytes, ...]) -> Chunks:
    """Read the chunks of footers of the same leaves.

    Args:
        places: of each footer, what ``find_chunks`` found with ``patterns``.
    """
    lengths = np.array([len(footer) for footer in footers], np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    data = b"".join(footers) + bytes(_PADDING)
    at = np.array(places, np.int64) + starts[:, None]
    ends = np.broadcast_to((starts + lengths)[:, None], at.shape)
    walk = _Walk(data, at.ravel(), ends.ravel())
    walk.require_heads((at - np.array([len(pattern) - 1 for pattern in patterns])).ravel())
    return walk.chunks(at.shape)


def whole_chunks(
    footers: Sequence[bytes], places: Sequence[Sequence[int]], starts: Sequence[int], *, patterns: tuple[bytes, ...]
) -> list[int | None]:
    """Where each footer's last chunk ends, if its chunks are whole and follow each other octet by octet; else None.

    Args:
        places: as for ``read_chunks``.
        starts: where each footer's first chunk begins.
    """
    lengths = np.array([len(footer) for footer in footers], np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    after = np.array(places, np.int64) + offsets[:, None]
    paths = after - np.array([len(pattern) - 1 for pattern in patterns])
    data = b"".join(footers) + bytes(_PADDING)
    limits = np.broadcast_to((offsets + lengths)[:, None], after.shape).ravel()
    walk = _Walk(data, after.ravel(), limits)
    walk.chunks(after.shape)
    ends, sound = walk.finished()
    shaped = ends.reshape(after.shape)
    begins = np.concatenate(((offsets + np.array(starts, np.int64))[:, None], shaped[:, :-1]), axis=1)
    before = _Walk(data, begins.ravel(), limits)
    sound &= before.reaches(paths.ravel())
    good = np.all(sound.reshape(after.shape), axis=1)
    last = shaped[:, -1] - offsets
    return [end if ok else None for end, ok in zip(last.tolist(), good.tolist(), strict=True)]


class _Walk:
    """The lanes' walk from the codec to the end of the statistics of each chunk."""

    def __init__(self, data: bytes, at: Numbers, ends: Numbers) -> None:
        self._whole = data
        self._data = np.frombuffer(data, np.uint8)
        self._at = at.copy()
        self._ends = ends
        self._sound = np.ones(len(at), np.bool_)
        self._last = np.zeros(len(at), np.int64)
        self._in_statistics: Lanes = np.zeros(0, np.intp)

    def require_heads(self, paths: Numbers) -> None:
        """Before the path are a physical type and the encodings, and all of them are known ones.

        Args:
            paths: where each path's header is.
        """
        known = np.zeros(len(paths), np.bool_)
        for count in range(1, _MAX_ENCODINGS + 1):
            fits = self._data[paths - count - 1] == count << 4 | _I32
            fits &= (self._data[paths - count - 2] == _PATH_HEAD[0]) & (self._data[paths - count - 4] == _PATH_TAIL[0])
            fits &= self._is_number(paths - count - 3, _LAST_TYPE)
            for back in range(1, count + 1):
                fits &= self._is_number(paths - back, _LAST_ENCODING)
            known |= fits
        self._sound &= known

    def _is_number(self, at: Numbers, last: int) -> npt.NDArray[np.bool_]:
        octet = self._data[at]
        small: npt.NDArray[np.bool_] = (octet & 1 == 0) & (octet <= last << 1)
        return small

    def chunks(self, shape: tuple[int, ...]) -> Chunks:
        """Walk, and give the result that shape."""
        everywhere = np.arange(len(self._at))
        self._last[:] = 3
        codec = self._number(self._required(everywhere, 4, _I32))
        self._sound &= (codec >= 0) & (codec <= _LAST_CODEC)
        for unread in UNREAD_CODECS:
            self._sound &= codec != unread
        values = self._number(self._required(everywhere, 5, _I64))
        self._number(self._required(everywhere, 6, _I64))
        size = self._number(self._required(everywhere, 7, _I64))
        self._number(self._required(everywhere, 9, _I64))
        for field in (10, 11):
            self._number(self._optional(everywhere, field, _I64))
        found = self._statistics(self._optional(everywhere, 12, _STRUCT))
        shaped = {name: array.reshape(shape) for name, array in found.items()}
        return Chunks(
            data=self._whole,
            sound=self._sound.reshape(shape),
            values=values.reshape(shape),
            size_bytes=size.reshape(shape),
            **shaped,
        )

    def finished(self) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """After ``chunks``: walk on to the end of each chunk; where that is, and whether all on the way is known."""
        everywhere = np.arange(len(self._at))
        self._at[self._in_statistics] += 1
        self._last[self._in_statistics] = 12
        counted = self._optional(everywhere, 13, _LIST)
        for lanes in self._items(counted, _STRUCT):
            for _ in range(3):
                self._octet(lanes, 1 << 4 | _I32)
                self._varint(lanes)
            self._octet(lanes, 0)
        self._number(self._optional(everywhere, 14, _I64))
        self._number(self._optional(everywhere, 15, _I32))
        sizes = self._optional(everywhere, 16, _STRUCT)
        self._last[sizes] = 0
        self._number(self._optional(sizes, 1, _I64))
        for field in (2, 3):
            for lanes in self._items(self._optional(sizes, field, _LIST), _I64):
                self._varint(lanes)
        self._octet(sizes, 0)
        self._octet(everywhere, 0)
        self._last[:] = 3
        for field, kind in ((4, _I64), (5, _I32), (6, _I64), (7, _I32)):
            self._number(self._optional(everywhere, field, kind))
        self._octet(everywhere, 0)
        return self._at, self._sound

    def reaches(self, paths: Numbers) -> npt.NDArray[np.bool_]:
        """From a chunk's first octet: whether its path is what comes after an offset, a type and encodings.

        Args:
            paths: where each path's header is.
        """
        everywhere = np.arange(len(self._at))
        self._octet(everywhere, 2 << 4 | _I64)
        self._varint(everywhere)
        self._octet(everywhere, 1 << 4 | _STRUCT)
        self._octet(everywhere, 1 << 4 | _I32)
        self._varint(everywhere)
        self._octet(everywhere, 1 << 4 | _LIST)
        for lanes in self._items(everywhere, _I32):
            self._varint(lanes)
        reached: npt.NDArray[np.bool_] = self._sound & (self._at == paths)
        return reached

    def _octet(self, lanes: Lanes, wanted: int) -> None:
        """Step over an octet that must be this one."""
        self._sound[lanes] &= self._data[self._at[lanes]] == wanted
        self._at[lanes] = np.minimum(self._at[lanes] + 1, self._ends[lanes])

    def _items(self, lanes: Lanes, kind: int) -> Iterator[Lanes]:
        """The lanes that have a first item in the list that begins here, those that have a second, and so on."""
        header = self._data[self._at[lanes]].astype(np.int64)
        self._sound[lanes] &= header & 15 == kind
        self._at[lanes] = np.minimum(self._at[lanes] + 1, self._ends[lanes])
        count = header >> 4
        long = lanes[count == _SHORT_LIST + 1]
        lengths = np.zeros(len(self._at), np.int64)
        lengths[long] = self._varint(long).astype(np.int64)
        count = np.where(count == _SHORT_LIST + 1, lengths[lanes], count)
        too_many = (count < 0) | (count > _MAX_ITEMS)
        self._sound[lanes] &= ~too_many
        count = np.where(too_many | ~self._sound[lanes], 0, count)
        for number in range(int(count.max(initial=0))):
            yield lanes[count > number]

    def _statistics(self, lanes: Lanes) -> dict[str, Numbers]:
        """min and max are the older fields; a writer fills both alike, and DuckLake takes these first."""
        count = len(self._at)
        found = {name: np.full(count, -1, np.int64) for name in ("nulls", "min_at", "min_bytes", "max_at", "max_bytes")}
        self._in_statistics = lanes
        self._last[lanes] = 0
        self._bound(lanes, 1, found, "max")
        self._bound(lanes, 2, found, "min")
        counted = self._optional(lanes, 3, _I64)
        found["nulls"][counted] = self._number(counted)[counted]
        self._number(self._optional(lanes, 4, _I64))
        self._bound(lanes, 5, found, "max")
        self._bound(lanes, 6, found, "min")
        for field in (7, 8):
            for kind in (_TRUE, _FALSE):
                self._optional(lanes, field, kind)
        self._sound[lanes] &= self._data[self._at[lanes]] == 0
        return found

    def _bound(self, lanes: Lanes, field: int, found: dict[str, Numbers], name: str) -> None:
        here = self._optional(lanes, field, _BINARY)
        length = self._varint(here).astype(np.int64)
        self._sound[here] &= (length >= 0) & (self._at[here] + length <= self._ends[here])
        length = np.where(self._sound[here], length, 0)
        first = found[f"{name}_bytes"][here] < 0
        found[f"{name}_at"][here[first]] = self._at[here[first]]
        found[f"{name}_bytes"][here[first]] = length[first]
        self._at[here] += length

    def _required(self, lanes: Lanes, field: int, kind: int) -> Lanes:
        here = self._optional(lanes, field, kind)
        missing = np.ones(len(self._at), np.bool_)
        missing[here] = False
        self._sound &= ~missing
        return here

    def _optional(self, lanes: Lanes, field: int, kind: int) -> Lanes:
        """The lanes whose next field is this one; they step over its header."""
        wanted = (field - self._last[lanes]) << 4 | kind
        here: Lanes = lanes[self._data[self._at[lanes]] == wanted]
        self._at[here] += 1
        self._last[here] = field
        return here

    def _number(self, lanes: Lanes) -> Numbers:
        """A zigzag number of the lanes, as an array over all lanes."""
        raw = self._varint(lanes)
        numbers = np.zeros(len(self._at), np.int64)
        numbers[lanes] = (raw >> np.uint64(1)).astype(np.int64) ^ -(raw & np.uint64(1)).astype(np.int64)
        return numbers

    def _varint(self, lanes: Lanes) -> npt.NDArray[np.uint64]:
        raw = np.zeros(len(lanes), np.uint64)
        going = np.arange(len(lanes))
        for shift in range(0, 70, 7):
            if not len(going):
                break
            at = self._at[lanes[going]]
            octet = self._data[at]
            raw[going] |= (octet & 127).astype(np.uint64) << np.uint64(shift)
            self._at[lanes[going]] = at + 1
            going = going[octet > 127]
        self._sound[lanes[going]] = False
        over = self._at[lanes] > self._ends[lanes]
        self._sound[lanes[over]] = False
        self._at[lanes[over]] = self._ends[lanes[over]]
        return raw
