"""Shopify customers, and the parts of them that orders repeat."""

from __future__ import annotations

from typing import Any

from lakeray.sample.texts import NOTES, TAGS
from lakeray.sample.world import Person, World

STREAM = "shopify/customers"
SHOP = "northwind-outdoor.myshopify.com"


def customer_id(record: int) -> int:
    """The Shopify id of a customer."""
    return 7_204_000_000_000 + record * 32_768


def customer(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a customer, as the connector sends it."""
    person = world.customer(record)
    home = address(person, record=record)
    common = _common(world, record, version=version, person=person)
    consented_at = common.pop("consented_at")
    consent = {"consent_updated_at": consented_at, "opt_in_level": "single_opt_in"} if consented_at else {}
    return common | {
        "shop_url": SHOP,
        "default_address": home,
        "addresses": [home],
        "email_marketing_consent": consent | {"state": "subscribed" if consented_at else "not_subscribed"},
        "sms_marketing_consent": {"consent_collected_from": "OTHER", "state": "not_subscribed"}
        if person.phone
        else None,
        "accepts_marketing_updated_at": _union(common["created_at"], record=record),
        "tax_exemptions": "[]",
    }


def embedded_customer(world: World, record: int, *, person: Person, version: int) -> dict[str, Any]:
    """The customer as an order repeats it."""
    common = _common(world, record, version=version, person=person)
    consented_at = common.pop("consented_at")
    return common | {
        "default_address": address(person, record=record),
        "accepts_marketing_updated_at": common["created_at"].isoformat(),
        "email_marketing_consent": {"state": "subscribed" if consented_at else "not_subscribed"},
        "tax_exemptions": [],
    }


def address(person: Person, *, record: int) -> dict[str, Any]:
    """The customer's address."""
    place = person.place
    return {
        "id": 8_600_000_000_000 + record * 32_768,
        "customer_id": customer_id(record),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "company": person.company,
        "address1": person.address1,
        "address2": "Hinterhaus, 2. OG" if person.house % 9 == 0 else None,
        "city": place.city,
        "province": place.province,
        "country": place.country,
        "zip": place.zip,
        "phone": person.phone,
        "name": person.name,
        "province_code": place.province_code,
        "country_code": place.country_code,
        "country_name": place.country,
        "default": True,
    }


def _common(world: World, record: int, *, version: int, person: Person) -> dict[str, Any]:
    draw = world.draw(STREAM, record)
    orders = draw.pick((0, 1, 1, 2, 3, 7)) + world.age(STREAM, record, version=version)
    accepts = draw.chance(0.4)
    created_at = world.created_at(STREAM, record)
    return {
        "id": customer_id(record),
        "email": person.email,
        "accepts_marketing": accepts,
        "created_at": created_at,
        "updated_at": world.updated_at(STREAM, record, version=version),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "orders_count": orders,
        "state": draw.pick(("disabled", "disabled", "enabled", "invited")),
        "total_spent": orders * draw.between(1_200, 9_900) / 100,
        "note": draw.pick(NOTES) if draw.chance(0.15) else None,
        "verified_email": person.email is not None,
        "tax_exempt": draw.chance(0.02),
        "phone": person.phone,
        "tags": ", ".join(sorted({draw.pick(TAGS), draw.pick(TAGS)})) if draw.chance(0.3) else "",
        "currency": "EUR",
        "marketing_opt_in_level": "single_opt_in" if accepts else None,
        "admin_graphql_api_id": f"gid://shopify/Customer/{customer_id(record)}",
        "consented_at": created_at if accepts else None,
    }


def _union(at: Any, *, record: int) -> dict[str, Any]:
    """A value of a column that is a date-time in most records and text in some: a tagged struct."""
    if record % 11 == 3:
        return {"type": "string", "string": "unknown"}
    return {"type": "timestamp_with_timezone", "timestamp_with_timezone": at}
