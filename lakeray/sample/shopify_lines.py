"""What orders and refunds have in common: ids, money sets, line items and taxes."""

from __future__ import annotations

from typing import Any

from lakeray.sample.basket import Basket, Line

SHOP_CURRENCY = "EUR"
_RATES = {"EUR": 100, "USD": 108, "CHF": 95}
"""Hundredths of the currency for one of the shop's."""


def order_id(record: int) -> int:
    """The Shopify id of an order."""
    return 5_310_000_000_000 + record * 32_768


def refund_id(record: int) -> int:
    """The Shopify id of a refund."""
    return 920_000_000_000 + record * 1_024


def line_item_id(order: int, *, line: int) -> int:
    """The Shopify id of an order's line."""
    return 13_900_000_000_000 + order * 65_536 + line * 4_096


def money(cents: int, *, currency: str) -> dict[str, Any]:
    """An amount in the shop's currency and in ``currency``, the one that the customer saw."""
    shown = cents * _RATES[currency] // 100
    return {
        "shop_money": {"amount": cents / 100, "currency_code": SHOP_CURRENCY},
        "presentment_money": {"amount": shown / 100, "currency_code": currency},
    }


def money_text(cents: int, *, currency: str) -> dict[str, Any]:
    """The same with the amounts as text: the connector is not consistent about it."""
    amounts = money(cents, currency=currency)
    return {name: amount | {"amount": f"{amount['amount']:.2f}"} for name, amount in amounts.items()}


def tax_lines(cents: int, *, percent: int, currency: str) -> list[dict[str, Any]]:
    """The taxes of an order or of a line: none or one."""
    if percent == 0:
        return []
    return [
        {
            "title": "MwSt" if percent != 20 else "TVA",
            "rate": percent / 100,
            "price": cents / 100,
            "price_set": money(cents, currency=currency),
            "channel_liable": False,
        }
    ]


def line_items(held: Basket, *, order: int) -> list[dict[str, Any]]:
    """The order's lines."""
    return [
        line_item(line, held=held, order=order, number=number) | {"discount_allocations": _discounts(line, held=held)}
        for number, line in enumerate(held.lines)
    ]


def line_item(line: Line, *, held: Basket, order: int, number: int) -> dict[str, Any]:
    """One line of the order, without its discounts' allocation: orders and refunds type that differently."""
    product = line.product
    item = line_item_id(order, line=number)
    return {
        "id": item,
        "admin_graphql_api_id": f"gid://shopify/LineItem/{item}",
        "fulfillable_quantity": 0,
        "fulfillment_service": "manual",
        "gift_card": False,
        "grams": product.grams,
        "name": f"{product.title} - {product.variant}",
        "price": product.price_cents / 100,
        "price_set": money(product.price_cents, currency=held.currency),
        "product_exists": True,
        "product_id": 8_100_000_000_000 + product.number * 32_768,
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": True,
        "sku": f"NW-{product.number:04d}",
        "taxable": held.tax_percent > 0,
        "title": product.title,
        "total_discount": 0.0,
        "total_discount_set": money(0, currency=held.currency),
        "variant_id": 45_000_000_000_000 + product.number * 32_768,
        "variant_inventory_management": "shopify",
        "variant_title": product.variant,
        "vendor": product.vendor,
        "tax_lines": tax_lines(line.tax_cents, percent=held.tax_percent, currency=held.currency),
        "duties": [],
    }


def _discounts(line: Line, *, held: Basket) -> list[dict[str, Any]]:
    if not line.discount_cents:
        return []
    return [
        {
            "amount": f"{line.discount_cents / 100:.2f}",
            "discount_application_index": 0.0,
            "amount_set": money_text(line.discount_cents, currency=held.currency),
        }
    ]
