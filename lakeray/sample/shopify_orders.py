"""Shopify orders: the money adds up, the customer exists, the refunds are those of the refunds stream."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lakeray.sample.basket import Basket, basket, refunds_of
from lakeray.sample.draw import Draw
from lakeray.sample.shopify_customers import SHOP, address, embedded_customer
from lakeray.sample.shopify_lines import SHOP_CURRENCY, line_items, money, order_id, tax_lines
from lakeray.sample.shopify_refunds import embedded_refund
from lakeray.sample.texts import AGENTS, LOCALES, NOTES, TAGS
from lakeray.sample.world import Person, World

STREAM = "shopify/orders"
_CUSTOMERS = "shopify/customers"
_REFUNDS = "shopify/order_refunds"


def order(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of an order, as the connector sends it: it knows the refunds made up to that file."""
    draw = world.draw(STREAM, record)
    held = basket(world, order=record)
    buyer = _buyer(world, draw, record=record)
    refunds = [embedded_refund(world, refund, version=version) for refund in _refunds(world, record, version=version)]
    placed_at = world.created_at(STREAM, record)
    age = world.age(STREAM, record, version=version)
    return (
        _identity(draw, record=record, placed_at=placed_at)
        | _sums(held)
        | _current_sums(held, refunds=refunds)
        | _contents(held, record=record, refunds=refunds)
        | _progress(draw, record=record, age=age, placed_at=placed_at, held=held, refunds=refunds)
        | _customer(world, buyer, version=version)
        | {"updated_at": world.updated_at(STREAM, record, version=version)}
    )


def _buyer(world: World, draw: Draw, *, record: int) -> int:
    """The customer who ordered: one who was there before, some of them again and again."""
    known = world.known(_CUSTOMERS, file=world.populations[STREAM].introduced_in(record))
    return int(draw.random() * draw.random() * known)


def _refunds(world: World, record: int, *, version: int) -> list[int]:
    introduced_in = world.populations[_REFUNDS].introduced_in
    return [refund for refund in refunds_of(world, order=record) if introduced_in(refund) <= version]


def _identity(draw: Draw, *, record: int, placed_at: datetime) -> dict[str, Any]:
    number = 1001 + record
    token = draw.hex(32)
    address_ip = f"203.0.113.{draw.between(1, 254)}"
    locale = draw.pick(LOCALES)
    client = {"accept_language": locale, "browser_ip": address_ip, "user_agent": draw.pick(AGENTS)}
    return {
        "id": order_id(record),
        "admin_graphql_api_id": f"gid://shopify/Order/{order_id(record)}",
        "app_id": 580111,
        "browser_ip": address_ip,
        "cart_token": f"Z2NwLWV1{draw.hex(16)}" if draw.chance(0.8) else None,
        "checkout_id": 36_000_000_000_000 + record * 32_768,
        "checkout_token": draw.hex(32),
        "client_details": client,
        "confirmation_number": draw.hex(9).upper(),
        "created_at": placed_at,
        "processed_at": placed_at - timedelta(seconds=1),
        "customer_locale": locale,
        "landing_site": draw.pick(("/", "/collections/all?utm_source=mail&utm_campaign=été", "/products/trail-mug")),
        "referring_site": draw.pick(("", "https://www.example.com/", "https://search.example/?q=%22mug%22")),
        "name": f"#{number}",
        "number": record + 1,
        "order_number": number,
        "order_status_url": f"https://{SHOP}/{number}/orders/{token}/authenticate?key={token[:12]}",
        "token": token,
        "note": draw.pick(NOTES) if draw.chance(0.2) else None,
        "note_attributes": [{"name": "gift wrap", "value": "yes 🎁"}] if draw.chance(0.08) else [],
        "payment_gateway_names": [draw.pick(("shopify_payments", "paypal", "klarna"))],
        "tags": draw.pick(TAGS) if draw.chance(0.25) else "",
        "source_name": draw.pick(("web", "web", "web", "pos", "android")),
        "shop_url": SHOP,
        "test": False,
        "confirmed": True,
        "duties_included": False,
        "estimated_taxes": False,
        "tax_exempt": False,
        "taxes_included": False,
    }


def _sums(held: Basket) -> dict[str, Any]:
    """The sums of the order as it was placed."""
    cents = {
        "total_line_items_price": held.lines_cents,
        "total_discounts": held.discount_cents,
        "subtotal_price": held.subtotal_cents,
        "total_tax": held.tax_cents,
        "total_price": held.total_cents,
    }
    sums = {name: value / 100 for name, value in cents.items()}
    sets = {f"{name}_set": money(value, currency=held.currency) for name, value in cents.items()}
    return (
        sums
        | sets
        | {
            "total_shipping_price_set": money(held.shipping_cents, currency=held.currency),
            "currency": SHOP_CURRENCY,
            "presentment_currency": held.currency,
            "total_outstanding": 0.0,
            "total_tip_received": 0.0,
            "total_weight": sum(line.product.grams * line.quantity for line in held.lines),
        }
    )


def _current_sums(held: Basket, *, refunds: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums that are left after the refunds."""
    items = [item for refund in refunds for item in refund["refund_line_items"]]
    subtotal_cents = held.subtotal_cents - sum(round(item["subtotal"] * 100) for item in items)
    tax_cents = held.tax_cents - sum(round(item["total_tax"] * 100) for item in items)
    paid_back = sum(round(float(payment["amount"]) * 100) for refund in refunds for payment in refund["transactions"])
    cents = {
        "current_subtotal_price": subtotal_cents,
        "current_total_tax": tax_cents,
        "current_total_discounts": held.discount_cents,
        "current_total_price": held.total_cents - paid_back,
    }
    sums = {name: value / 100 for name, value in cents.items()}
    return sums | {f"{name}_set": money(value, currency=held.currency) for name, value in cents.items()}


def _contents(held: Basket, *, record: int, refunds: list[dict[str, Any]]) -> dict[str, Any]:
    code, discount = held.discount_code, f"{held.discount_cents / 100:.2f}"
    application = {
        "type": "discount_code",
        "value": f"{held.discount_percent}.0",
        "value_type": "percentage",
        "allocation_method": "across",
        "target_selection": "all",
        "target_type": "line_item",
    }
    shipping = {
        "id": 4_400_000_000_000 + record * 32_768,
        "code": "Standard",
        "title": "Standard – 2–4 days",
        "source": "shopify",
        "price": held.shipping_cents / 100,
        "price_set": money(held.shipping_cents, currency=held.currency),
        "discounted_price": held.shipping_cents / 100,
        "discounted_price_set": money(held.shipping_cents, currency=held.currency),
        "tax_lines": "[]",
        "discount_allocations": [],
    }
    return {
        "line_items": line_items(held, order=record),
        "tax_lines": tax_lines(held.tax_cents, percent=held.tax_percent, currency=held.currency),
        "shipping_lines": [shipping] if held.shipping_cents else [],
        "discount_applications": [application] if code else [],
        "discount_codes": [{"code": code, "amount": discount, "type": "percentage"}] if code else [],
        "discount_allocations": [],
        "refunds": refunds,
    }


def _progress(
    draw: Draw, *, record: int, age: int, placed_at: datetime, held: Basket, refunds: list[dict[str, Any]]
) -> dict[str, Any]:
    """How far the order has come: paid, shipped, closed, cancelled; never back in a later version."""
    paid = age >= draw.pick((0, 0, 0, 0, 1))
    shipped = paid and age >= draw.pick((0, 1, 1, 2, 3))
    cancelled = draw.chance(0.04) and age >= 1 and not shipped
    back = sum(round(float(payment["amount"]) * 100) for refund in refunds for payment in refund["transactions"])
    refunded = "refunded" if back >= held.total_cents else "partially_refunded"
    later_at = placed_at + timedelta(hours=draw.between(1, 30))
    parcel = {
        "id": 4_700_000_000_000 + record * 32_768,
        "created_at": later_at,
        "updated_at": later_at,
        "name": f"#{1001 + record}.1",
        "order_id": order_id(record),
        "receipt": "{}",
        "service": "manual",
        "status": "success",
        "tracking_company": "DHL",
        "tracking_number": f"00340434{record:012d}",
        "tracking_numbers": [f"00340434{record:012d}"],
    }
    return {
        "financial_status": refunded if refunds else "paid" if paid else "pending",
        "fulfillment_status": "fulfilled" if shipped else None,
        "fulfillments": [parcel] if shipped else [],
        "closed_at": later_at if shipped else None,
        "cancelled_at": later_at if cancelled else None,
        "cancel_reason": draw.pick(("customer", "inventory", "other")) if cancelled else None,
    }


def _customer(world: World, buyer: int, *, version: int) -> dict[str, Any]:
    person = world.customer(buyer)
    # A customer's versions are numbered by file as well: the order shows the customer of its own time.
    shown = embedded_customer(world, buyer, person=person, version=version)
    flat = {f"customer_{name}": value for name, value in shown.items()}
    flat["customer_accepts_marketing_updated_at"] = shown["created_at"]
    at = _address(person, buyer=buyer)
    return flat | {
        "customer": shown,
        "email": person.email,
        "contact_email": person.email,
        "phone": person.phone,
        "buyer_accepts_marketing": shown["accepts_marketing"],
        "billing_address": at,
        "shipping_address": at,
    }


def _address(person: Person, *, buyer: int) -> dict[str, Any]:
    """An order's address: a customer's one with a position and without its ids."""
    of_customer = address(person, record=buyer)
    for name in ("id", "customer_id", "country_name", "default"):
        del of_customer[name]
    return of_customer | {"latitude": person.place.latitude, "longitude": person.place.longitude}
