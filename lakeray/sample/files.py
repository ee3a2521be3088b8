"""The sample's files of one stream: keys, times and rows, each file by itself and one row at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakeray.sample import klaviyo, shopify_customers, shopify_orders, shopify_refunds
from lakeray.sample.draw import scatter
from lakeray.sample.generic import generic_record
from lakeray.sample.schedule import Emission, SampleSettings, Shape, moment
from lakeray.sample.world import SHAPES, World
from lakeray.values.model import Column, StreamName

Row = dict[str, Any]
"""Column name to value: date-times are aware datetimes, structs dicts, lists lists. An absent column is null."""

_BAD_EVERY = 97
"""One version of a record in so many lost a value on the way."""
_FIRST_SYNC_ID = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleStream:
    """What the generator has to know of a stream."""

    name: StreamName
    fields: tuple[Column, ...]
    """The record's own columns, without Airbyte's."""
    primary_key: tuple[str, ...]
    cursor_field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """One file to be written."""

    key: str
    """Relative to the raw prefix."""
    sync_at: datetime
    """When the sync that writes the file started: the day of its folder."""
    extracted_at: datetime
    """When its first row was read."""
    _rows: Callable[[], Iterator[Row]]

    def rows(self) -> Iterator[Row]:
        """The rows, made one at a time; the same ones whenever it is called."""
        return self._rows()


def sample_files(stream: SampleStream, *, settings: SampleSettings) -> Iterator[SampleFile]:
    """The stream's files, oldest first. Nothing is made before a file's rows are asked for."""
    world = _world(stream, settings=settings)
    timeline = world.timeline
    for number in range(settings.files):
        yield SampleFile(
            key=timeline.key(stream.name, file=number),
            sync_at=moment(timeline.sync_us(timeline.sync_number(number))),
            extracted_at=moment(timeline.extraction_us(number)[0]),
            _rows=_rows_of(world, stream, number),
        )


def record_count(stream: SampleStream, *, settings: SampleSettings) -> int:
    """How many distinct records the stream's files hold together: the rows of its processed table."""
    return _world(stream, settings=settings).populations[str(stream.name)].first(settings.files)


def _world(stream: SampleStream, *, settings: SampleSettings) -> World:
    name = str(stream.name)
    return World.of(settings, shapes=SHAPES if name in _RECORDS else {**SHAPES, name: _shape(stream)})


def _shape(stream: SampleStream) -> Shape:
    """How an unknown stream grows: updates need a key that says of which record, and a cursor outside the key."""
    moving = stream.cursor_field is not None and stream.cursor_field not in stream.primary_key
    updates = bool(stream.primary_key) and stream.cursor_field not in stream.primary_key
    return Shape(update_percent=20 if updates else 0, moving_cursor=moving)


def _rows_of(world: World, stream: SampleStream, file: int) -> Callable[[], Iterator[Row]]:
    return lambda: _rows(world, stream, file=file)


def _rows(world: World, stream: SampleStream, *, file: int) -> Iterator[Row]:
    name = str(stream.name)
    emissions = world.populations[name].emissions(file)
    record = _RECORDS.get(name) or _generic(stream)
    start_us, end_us = world.timeline.extraction_us(file)
    step_us = max(1, (end_us - start_us) // (2 * world.populations[name].rows))
    bits = random.Random(f"{world.settings.seed}/{name}/{file}").getrandbits
    sync_id = _FIRST_SYNC_ID + world.timeline.sync_number(file)
    for place, emission in enumerate(emissions):
        row = record(world, emission.record, version=emission.version)
        changes = _spoil(row, stream=stream, emission=emission)
        row["_airbyte_raw_id"] = _raw_id(bits(128))
        row["_airbyte_extracted_at"] = moment(start_us + place * step_us)
        row["_airbyte_meta"] = {"sync_id": sync_id, "changes": changes}
        row["_airbyte_generation_id"] = 1
        yield row


def _raw_id(bits: int) -> str:
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _spoil(row: Row, *, stream: SampleStream, emission: Emission) -> list[dict[str, str]]:
    """Now and then a value could not be kept: it is null, and the row's metadata say so. Keys and sums are spared."""
    if (emission.record + 17 * emission.version) % _BAD_EVERY != 30:
        return []
    spared = {*stream.primary_key, stream.cursor_field}
    known = _FRAGILE.get(str(stream.name))
    names = known or tuple(field.name for field in stream.fields)
    candidates = [name for name in names if name not in spared and row.get(name) is not None]
    if not candidates:
        return []
    field = candidates[int(scatter(emission.record, emission.version) * len(candidates))]
    row[field] = None
    return [{"field": field, "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}]


def _generic(stream: SampleStream) -> Callable[..., Row]:
    name = str(stream.name)

    def record(world: World, number: int, *, version: int) -> Row:
        return generic_record(
            stream.fields,
            draw=world.draw(name, number, version),
            record=number,
            keys=frozenset(stream.primary_key),
            cursor=stream.cursor_field,
            created_at=world.created_at(name, number),
            updated_at=world.updated_at(name, number, version=version),
        )

    return record


_RECORDS: Mapping[str, Callable[..., Row]] = {
    "shopify/orders": shopify_orders.order,
    "shopify/customers": shopify_customers.customer,
    "shopify/order_refunds": shopify_refunds.refund,
    "klaviyo/profiles": klaviyo.profile,
    "klaviyo/events": klaviyo.event,
    "klaviyo/campaigns": klaviyo.campaign,
    "klaviyo/flows": klaviyo.flow,
    "klaviyo/lists": klaviyo.mailing_list,
    "klaviyo/metrics": klaviyo.metric,
}
_FRAGILE: Mapping[str, tuple[str, ...]] = {
    "shopify/orders": ("total_weight", "processed_at", "checkout_id", "client_details", "total_tip_received"),
    "shopify/customers": ("orders_count", "sms_marketing_consent", "accepts_marketing_updated_at", "verified_email"),
    "shopify/order_refunds": ("processed_at", "restock"),
    **dict.fromkeys((name for name in SHAPES if name.startswith("klaviyo/")), ("links",)),
}
