"""The sample's world: which streams there are, how large each is, when its records change, who the people are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lakeray.sample.draw import Draw, scatter, spread_id
from lakeray.sample.schedule import Population, SampleSettings, Shape, Timeline, moment
from lakeray.sample.texts import COMPANIES, DOMAINS, FIRST_NAMES, LAST_NAMES, LOCALES, PLACES, Place

_DAY_US = 24 * 60 * 60 * 1_000_000

SHAPES: Mapping[str, Shape] = {
    "shopify/orders": Shape(backlog_days=(60, 2)),
    "shopify/customers": Shape(rows_divisor=2, backlog_days=(720, 61)),
    "shopify/order_refunds": Shape(rows_divisor=8, update_percent=10, moving_cursor=False, backlog_days=(2, 0)),
    "klaviyo/profiles": Shape(rows_divisor=2, backlog_days=(720, 61)),
    "klaviyo/events": Shape(update_percent=0, moving_cursor=False, backlog_days=(30, 0)),
    "klaviyo/campaigns": Shape(rows_divisor=20, backlog_days=(200, 1)),
    "klaviyo/flows": Shape(capacity=9, backlog_days=(900, 730)),
    "klaviyo/lists": Shape(capacity=7, backlog_days=(900, 730)),
    "klaviyo/metrics": Shape(capacity=12, backlog_days=(900, 730)),
}
"""The streams that the sample knows; any other one has its shape from its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer of the shop, or a subscriber who never bought anything."""

    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    company: str | None
    place: Place
    house: int
    locale: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def address1(self) -> str:
        """Street and house number."""
        return f"{self.place.street} {self.house}"


@dataclass(frozen=True, slots=True)
class World:
    """Everything the records of one sample are derived from. Holds no record."""

    settings: SampleSettings
    timeline: Timeline
    populations: Mapping[str, Population]

    @classmethod
    def of(cls, settings: SampleSettings, *, shapes: Mapping[str, Shape] = SHAPES) -> World:
        """The world of these settings."""
        populations = {name: Population.of(shape, settings=settings) for name, shape in shapes.items()}
        return cls(settings, Timeline(settings), populations)

    def draw(self, *parts: object) -> Draw:
        """The draws for one thing, e.g. ``draw("shopify/orders", 17)``: the same whoever asks."""
        return Draw("/".join(map(str, (self.settings.seed, *parts))))

    def known(self, stream: str, *, file: int) -> int:
        """How many records of the stream were made before the file's window: those that its records may refer to."""
        return self.populations[stream].first(max(file, 1))

    def created_at(self, stream: str, record: int) -> datetime:
        """When the record was made: inside the window of the file that introduces it."""
        population = self.populations[stream]
        file = population.introduced_in(record)
        if file == 0:
            start_us, end_us = (self.timeline.sync_us(0) - days * _DAY_US for days in population.shape.backlog_days)
        else:
            start_us, end_us = self.timeline.windows_us[file]
        place, places = record - population.first(file), population.introduced(file)
        return moment(start_us + (end_us - start_us) * (2 * place + 1) // (2 * places))

    def updated_at(self, stream: str, record: int, *, version: int) -> datetime:
        """When the version came to be: the later the version, the later this is."""
        if version <= self.populations[stream].introduced_in(record):
            return self.created_at(stream, record)
        start_us, end_us = self.timeline.windows_us[version]
        return moment(start_us + int((end_us - start_us) * scatter(record, version)))

    def age(self, stream: str, record: int, *, version: int) -> int:
        """How many files after the record's first one the version came."""
        return version - self.populations[stream].introduced_in(record)

    def customer(self, record: int) -> Person:
        """The person behind a Shopify customer."""
        return self._person("customer", record)

    def profile(self, record: int) -> Person:
        """The person behind a Klaviyo profile: four of five are the shop's customers."""
        customer = self.profile_customer(record)
        return self._person("subscriber", record) if customer is None else self.customer(customer)

    def profile_customer(self, record: int) -> int | None:
        """The Shopify customer of a Klaviyo profile; None for a subscriber who is not one."""
        return None if record % 5 == 4 else record - record // 5

    def _person(self, kind: str, number: int) -> Person:
        draw = self.draw(kind, number)
        name = f"{kind}.{spread_id(number, digits=4, base=36)}".lower()
        place = draw.pick(PLACES)
        return Person(
            first_name=draw.pick(FIRST_NAMES),
            last_name=draw.pick(LAST_NAMES),
            email=f"{name}{number}@{draw.pick(DOMAINS)}" if draw.chance(0.97) else None,
            phone=f"{place.dial}{draw.between(1_000_000, 9_999_999)}" if draw.chance(0.6) else None,
            company=draw.pick(COMPANIES) if draw.chance(0.1) else None,
            place=place,
            house=draw.between(1, 240),
            locale=draw.pick(LOCALES),
        )
