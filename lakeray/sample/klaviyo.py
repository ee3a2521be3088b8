"""Klaviyo: profiles of the shop's customers and of others, their events, and the small streams they refer to."""

from __future__ import annotations

import json
from typing import Any

from lakeray.sample.draw import Draw, spread_id
from lakeray.sample.shopify_customers import customer_id
from lakeray.sample.texts import PRODUCTS, TAGS
from lakeray.sample.world import Person, World

_API = "https://a.klaviyo.com/api"
_METRICS = (
    *("Received Email", "Opened Email", "Clicked Email", "Placed Order", "Ordered Product", "Viewed Product"),
    *("Started Checkout", "Subscribed to List", "Unsubscribed", "Bounced Email", "Refunded Order", "Fulfilled Order"),
)
_FLOWS = (
    "Welcome Series",
    "Abandoned Cart 🛒",
    "Browse Abandonment",
    "Post-Purchase “Thanks”",
    "Win-back",
    "Birthday 🎂",
)
_LISTS = ("Newsletter", "VIP – Größe XL", "Preview List", "SMS Subscribers", "B2B", "Popup 10 %", 'Test "do not use"')


def profile_id(record: int) -> str:
    """The id of a profile, in the form of a ULID."""
    return "01J" + spread_id(record, digits=23, base=32)


def event_id(record: int) -> str:
    """The id of an event."""
    return spread_id(record, digits=11)


def short_id(kind: str, record: int) -> str:
    """The id of a metric, list or flow: six letters and digits, another range for each kind."""
    return spread_id(record * 8 + ("metrics", "lists", "flows").index(kind), digits=6, base=36)


def profile(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a profile. Its e-mail is the customer's, sometimes written with capitals."""
    stream = "klaviyo/profiles"
    draw = world.draw(stream, record)
    person = world.profile(record)
    customer = world.profile_customer(record)
    created_at = world.created_at(stream, record)
    updated_at = world.updated_at(stream, record, version=version)
    visits = world.age(stream, record, version=version) + draw.between(0, 9)
    attributes = {
        "email": _mixed_case(person.email) if person.email and record % 7 == 3 else person.email,
        "phone_number": person.phone,
        "external_id": None if customer is None else str(customer_id(customer)),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "organization": person.company,
        "locale": person.locale,
        "created": created_at,
        "updated": updated_at,
        "last_event_date": updated_at if draw.chance(0.7) else None,
        "location": _location(person, ip=f"198.51.100.{draw.between(1, 254)}", as_text=record % 13 == 5),
        "properties": _json({"$source": -6, "visits": visits, 'Favourite "colour"': draw.pick(("grün", "青", "teal"))}),
        "subscriptions": _subscriptions(draw, created_at=created_at),
        "predictive_analytics": {
            "historic_number_of_orders": visits // 3,
            "historic_clv": visits // 3 * 41.5,
            "churn_probability": round(draw.random(), 4),
        },
    }
    number = profile_id(record)
    relations = {name: _links(f"profiles/{number}", relation=name) for name in ("lists", "segments")}
    return _resource("profile", number, path="profiles", attributes=attributes, relations=relations) | {
        "updated": updated_at,
        "segments": "[]",
    }


def event(world: World, record: int, *, version: int) -> dict[str, Any]:  # noqa: ARG001  as all records are made
    """One event. It happened once: there is one version of it."""
    stream = "klaviyo/events"
    draw = world.draw(stream, record)
    file = world.populations[stream].introduced_in(record)
    who = int(draw.random() * world.known("klaviyo/profiles", file=file))
    what = int(draw.random() * world.known("klaviyo/metrics", file=file))
    at = world.created_at(stream, record)
    number = event_id(record)
    attributes = {
        "timestamp": int(at.timestamp()),
        "event_properties": _json(_event_properties(draw, metric=_METRICS[what], number=number)),
        "datetime": at,
        "uuid": draw.uuid(),
    }
    relations = {
        "profile": _related(f"events/{number}", relation="profile", kind="profile", number=profile_id(who)),
        "metric": _related(f"events/{number}", relation="metric", kind="metric", number=short_id("metrics", what)),
        "attributions": {"data": []},
    }
    return _resource("event", number, path="events", attributes=attributes, relations=relations) | {"datetime": at}


def campaign(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a campaign: a draft at first, then sent."""
    stream = "klaviyo/campaigns"
    draw = world.draw(stream, record)
    created_at = world.created_at(stream, record)
    updated_at = world.updated_at(stream, record, version=version)
    sent = world.age(stream, record, version=version) > 0 or draw.chance(0.6)
    audience = draw.between(0, world.known("klaviyo/lists", file=0) - 1)
    tracking = {"is_add_utm": True, "utm_params": [{"name": "utm_medium", "value": "campaign"}]}
    attributes = {
        "name": f"{draw.pick(('Spring Sale', 'Été 2026 ☀', 'Last chance!', 'Новинки'))} #{record + 1}",
        "status": "Sent" if sent else "Draft",
        "archived": draw.chance(0.1),
        "audiences": {"included": [short_id("lists", audience)], "excluded": []},
        "send_options": {"use_smart_sending": draw.chance(0.8)},
        "tracking_options": tracking | {"is_tracking_opens": True, "is_tracking_clicks": True},
        "send_strategy": {"method": "immediate"},
        "created_at": created_at,
        "scheduled_at": created_at if sent else None,
        "updated_at": updated_at,
        "send_time": created_at if sent else None,
        "channel": "email",
    }
    number = "01K" + spread_id(record, digits=23, base=32)
    relations = {"tags": _links(f"campaigns/{number}", relation="tags") | {"data": []}}
    return _resource("campaign", number, path="campaigns", attributes=attributes, relations=relations) | {
        "updated_at": updated_at
    }


def flow(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a flow."""
    draw = world.draw("klaviyo/flows", record)
    live = draw.chance(0.7) or world.age("klaviyo/flows", record, version=version) > 1
    details = {
        "status": "live" if live else "draft",
        "archived": False,
        "trigger_type": draw.pick(("Added to List", "Metric", "Date Based")),
    }
    return _small(world, record, kind="flows", names=_FLOWS, details=details, version=version)


def mailing_list(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a list."""
    details = {"opt_in_process": "double_opt_in" if record % 2 else "single_opt_in"}
    return _small(world, record, kind="lists", names=_LISTS, details=details, version=version)


def metric(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a metric."""
    name, category = ("Shopify", "eCommerce") if record in (3, 4, 10, 11) else ("Klaviyo", "Internal")
    integration = {"object": "integration", "id": f"0{name[0]}nt3g", "name": name, "category": category}
    details = {"integration": _json(integration)}
    return _small(world, record, kind="metrics", names=_METRICS, details=details, version=version)


def _small(
    world: World, record: int, *, kind: str, names: tuple[str, ...], details: dict[str, Any], version: int
) -> dict[str, Any]:
    stream = f"klaviyo/{kind}"
    updated_at = world.updated_at(stream, record, version=version)
    name = names[record] if record < len(names) else f"{names[record % len(names)]} ({record})"
    times = {"name": name, "created": world.created_at(stream, record), "updated": updated_at}
    number = short_id(kind, record)
    relations = {"tags": _links(f"{kind}/{number}", relation="tags") | {"data": []}} if kind != "metrics" else None
    resource = _resource(kind[:-1], number, path=kind, attributes=times | details, relations=relations)
    return resource | {"updated": updated_at}


def _resource(
    kind: str, number: str, *, path: str, attributes: dict[str, Any], relations: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "type": kind,
        "id": number,
        "attributes": attributes,
        "links": {"self": f"{_API}/{path}/{number}/"},
        "relationships": relations,
    }


def _links(path: str, *, relation: str) -> dict[str, Any]:
    return {"links": {"self": f"{_API}/{path}/relationships/{relation}/", "related": f"{_API}/{path}/{relation}/"}}


def _related(path: str, *, relation: str, kind: str, number: str) -> dict[str, Any]:
    return _links(path, relation=relation) | {"data": {"type": kind, "id": number}}


def _location(person: Person, *, ip: str, as_text: bool) -> dict[str, Any]:
    place = person.place
    return {
        "address1": person.address1,
        "city": place.city,
        "country": place.country,
        "latitude": _number_or_text(place.latitude, as_text=as_text),
        "longitude": _number_or_text(place.longitude, as_text=as_text),
        "region": place.province,
        "zip": place.zip,
        "timezone": place.timezone,
        "ip": ip,
    }


def _number_or_text(value: float, *, as_text: bool) -> dict[str, Any]:
    """A value of a column that is a number in most records and text in some: a tagged struct."""
    return {"type": "string", "string": str(value)} if as_text else {"type": "number", "number": value}


def _subscriptions(draw: Draw, *, created_at: Any) -> dict[str, Any]:
    subscribed = draw.chance(0.6)
    marketing = {
        "can_receive_email_marketing": subscribed,
        "consent": "SUBSCRIBED" if subscribed else "NEVER_SUBSCRIBED",
        "consent_timestamp": created_at if subscribed else None,
        "method": "FORM" if subscribed else None,
        "double_optin": subscribed and draw.chance(0.5),
        "suppressions": [{"reason": "HARD_BOUNCE", "timestamp": created_at}] if draw.chance(0.02) else [],
        "list_suppressions": [],
    }
    return {"email": {"marketing": marketing}}


def _event_properties(draw: Draw, *, metric: str, number: str) -> dict[str, Any]:
    product = draw.pick(PRODUCTS)
    properties: dict[str, Any] = {"$event_id": number, "metric": metric, "note": draw.pick(TAGS)}
    if "Email" in metric:
        return properties | {"Subject": "🎉 It's “your” day", "Email Domain": "example.com", "machine_open": False}
    quantity, price_cents = draw.between(1, 3), product.price_cents
    items = [{"ProductName": product.title, "Quantity": quantity, "ItemPrice": price_cents / 100}]
    return properties | {"$value": quantity * price_cents / 100, "Items": items, "Brand": product.vendor}


def _mixed_case(email: str) -> str:
    return email.title()


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
