"""The leaves of a Parquet schema: how their paths are written, and which column of the landing table each one fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lakeray.adapters.ducklake.values.file_statistics import ColumnPath, MappedName
from lakeray.adapters.parquet.footer_bytes import SchemaElement

_MAP, _LIST = 1, 3
"""Parquet's ConvertedType, by which DuckLake knows nested types."""
_LEGACY_ITEM = b"array"
"""The item of a list in the layout of older Avro writers, without a group around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A column without parts."""

    path: tuple[bytes, ...]
    """path_in_schema."""
    target: ColumnPath | None
    """None when the landing table has no place for it."""


@dataclass(frozen=True, slots=True)
class _Node:
    element: SchemaElement
    children: tuple[_Node, ...]


def leaves(elements: Sequence[SchemaElement], mapping: Sequence[MappedName]) -> list[Leaf]:
    """The leaves in the file's order.

    Args:
        elements: the schema, depth first, from its root.
        mapping: DuckLake's name mapping of a file with this schema.

    Raises:
        ValueError: the schema's counts do not add up.
    """
    rest = iter(elements)
    root = _node(rest)
    below: dict[int | None, list[MappedName]] = {}
    for name in mapping:
        below.setdefault(name.parent, []).append(name)
    return list(_fields(root.children, below.get(None, []), below, path=()))


def _node(rest: Iterator[SchemaElement]) -> _Node:
    element = next(rest, None)
    if element is None or element.children < 0:
        raise ValueError("the schema's elements are fewer than it says")
    return _Node(element, tuple(_node(rest) for _ in range(element.children)))


_Below = dict[int | None, list[MappedName]]


def _fields(
    nodes: Sequence[_Node], names: Sequence[MappedName], below: _Below, *, path: tuple[bytes, ...]
) -> Iterator[Leaf]:
    by_name = {name.source_name.encode(): name for name in reversed(names)}
    for node in nodes:
        yield from _visit(node, by_name.pop(node.element.name, None), below, path=path)


def _visit(node: _Node, name: MappedName | None, below: _Below, *, path: tuple[bytes, ...]) -> Iterator[Leaf]:
    here = (*path, node.element.name)
    if not node.children:
        yield Leaf(path=here, target=None if name is None else name.target)
        return
    names = [] if name is None else below.get(name.number, [])
    first = node.children[0]
    if node.element.converted_type == _LIST and len(node.children) == 1:
        item = names[0] if names else None
        if first.element.name == _LEGACY_ITEM or len(first.children) != 1:
            yield from _visit(first, item, below, path=here)
        else:
            yield from _visit(first.children[0], item, below, path=(*here, first.element.name))
    elif node.element.converted_type == _MAP and len(node.children) == 1:
        yield from _fields(first.children, names, below, path=(*here, first.element.name))
    else:
        yield from _fields(node.children, names, below, path=here)
