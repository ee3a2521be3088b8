"""Shopify refunds: each gives back one piece of one line of an earlier order, some of them the shipping too."""

from __future__ import annotations

from typing import Any

from lakeray.sample.basket import Return, basket, returned
from lakeray.sample.shopify_customers import SHOP
from lakeray.sample.shopify_lines import SHOP_CURRENCY, line_item, line_item_id, money, money_text, order_id, refund_id
from lakeray.sample.texts import REFUND_NOTES
from lakeray.sample.world import World

STREAM = "shopify/order_refunds"


def refund(world: World, record: int, *, version: int) -> dict[str, Any]:
    """One version of a refund. Its cursor, ``created_at``, never moves: a later version has another note."""
    back = returned(world, refund=record)
    held = basket(world, order=back.order)
    line = held.lines[back.line]
    item = line_item(line, held=held, order=back.order, number=back.line)
    allocation = {
        "amount": line.discount_cents / 100,
        "amount_set": money(line.discount_cents, currency=held.currency),
        "discount_application_index": 0,
    }
    item["discount_allocations"] = [allocation] if line.discount_cents else []
    items = {
        "subtotal_set": money(back.subtotal_cents, currency=held.currency),
        "total_tax_set": money(back.tax_cents, currency=held.currency),
        "line_item": item,
    }
    common = _common(world, back, version=version)
    common["refund_line_items"] = [common["refund_line_items"][0] | items]
    adjustments = [_shipping_adjustment(back)] if back.shipping_cents else []
    return common | {"shop_url": SHOP, "duties": "[]", "order_adjustments": adjustments}


def embedded_refund(world: World, record: int, *, version: int) -> dict[str, Any]:
    """The refund as its order repeats it, with the amounts of the sets as text."""
    back = returned(world, refund=record)
    held = basket(world, order=back.order)
    common = _common(world, back, version=version)
    items = {
        "subtotal_set": money_text(back.subtotal_cents, currency=held.currency),
        "total_tax_set": money_text(back.tax_cents, currency=held.currency),
    }
    common["refund_line_items"] = [common["refund_line_items"][0] | items]
    adjustments = [_shipping_adjustment(back)] if back.shipping_cents else []
    return common | {"duties": [], "order_adjustments": adjustments}


def _common(world: World, back: Return, *, version: int) -> dict[str, Any]:
    draw = world.draw(STREAM, back.refund)
    note = draw.pick(REFUND_NOTES) if draw.chance(0.7) else None
    if world.age(STREAM, back.refund, version=version) > 0:
        note = f"{note or 'reviewed'} (checked)"
    made_at = world.created_at(STREAM, back.refund)
    number = refund_id(back.refund)
    item = {
        "id": 460_000_000_000 + back.refund * 1_024,
        "line_item_id": line_item_id(back.order, line=back.line),
        "quantity": 1,
        "restock_type": "return" if draw.chance(0.8) else "no_restock",
        "subtotal": back.subtotal_cents / 100,
        "total_tax": back.tax_cents / 100,
    }
    payment = {
        "id": 6_400_000_000_000 + back.refund * 1_024,
        "amount": f"{back.total_cents / 100:.2f}",
        "created_at": made_at,
        "processed_at": made_at,
        "currency": SHOP_CURRENCY,
        "gateway": "shopify_payments",
        "kind": "refund",
        "order_id": order_id(back.order),
        "receipt": {"paid_amount": f"{back.total_cents / 100:.2f}"},
        "status": "success",
        "test": False,
        "payment_id": f"#{1001 + back.order}.2",
    }
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Refund/{number}",
        "order_id": order_id(back.order),
        "created_at": made_at,
        "processed_at": made_at,
        "note": note,
        "restock": item["restock_type"] == "return",
        "refund_line_items": [item],
        "transactions": [payment],
    }


def _shipping_adjustment(back: Return) -> dict[str, Any]:
    return {
        "id": 310_000_000_000 + back.refund * 1_024,
        "order_id": order_id(back.order),
        "refund_id": refund_id(back.refund),
        "amount": f"-{back.shipping_cents / 100:.2f}",
        "tax_amount": "0.00",
        "kind": "shipping_refund",
        "reason": "Shipping refund",
    }
