"""What an order holds and what of it comes back: all amounts in whole cents, so that they add up."""

from __future__ import annotations

from dataclasses import dataclass

from lakeray.sample.texts import PRODUCTS, Product
from lakeray.sample.world import World

_DISCOUNTS = (("WELCOME10", 10), ("SUMMER15", 15), ("FREUNDE-20", 20))
_SHIPPING_CENTS = (0, 490, 490, 795, 1290)
_CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "USD", "CHF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One article of an order."""

    product: Product
    quantity: int
    discount_cents: int
    tax_cents: int

    @property
    def total_cents(self) -> int:
        """Before discounts and taxes."""
        return self.product.price_cents * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """An order's lines and sums. Taxes come on top of the prices."""

    lines: tuple[Line, ...]
    discount_code: str | None
    discount_percent: int
    tax_percent: int
    shipping_cents: int
    currency: str
    """What the customer saw the prices in; the amounts here are in the shop's own currency."""

    @property
    def lines_cents(self) -> int:
        """The lines before discounts."""
        return sum(line.total_cents for line in self.lines)

    @property
    def discount_cents(self) -> int:
        """All discounts."""
        return sum(line.discount_cents for line in self.lines)

    @property
    def tax_cents(self) -> int:
        """All taxes."""
        return sum(line.tax_cents for line in self.lines)

    @property
    def subtotal_cents(self) -> int:
        """The lines after discounts."""
        return self.lines_cents - self.discount_cents

    @property
    def total_cents(self) -> int:
        """What the customer pays."""
        return self.subtotal_cents + self.tax_cents + self.shipping_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One piece of one line that comes back, and sometimes the shipping."""

    refund: int
    """The refund's record number."""
    order: int
    line: int
    subtotal_cents: int
    tax_cents: int
    shipping_cents: int

    @property
    def total_cents(self) -> int:
        """What the customer gets back."""
        return self.subtotal_cents + self.tax_cents + self.shipping_cents


def basket(world: World, *, order: int) -> Basket:
    """What the order holds. It has at least as many lines as it has refunds."""
    draw = world.draw("basket", order)
    code, percent = draw.pick(_DISCOUNTS) if draw.chance(0.3) else (None, 0)
    tax_percent = draw.pick((0, 7, 19, 20))
    wanted = max(draw.pick((1, 1, 2, 2, 3, 4)), len(refunds_of(world, order=order)))
    start = draw.between(0, len(PRODUCTS) - 1)
    lines = []
    for number in range(wanted):
        product = PRODUCTS[(start + 5 * number) % len(PRODUCTS)]
        quantity = draw.pick((1, 1, 1, 2, 3))
        discount_cents = product.price_cents * quantity * percent // 100
        tax_cents = (product.price_cents * quantity - discount_cents) * tax_percent // 100
        lines.append(Line(product=product, quantity=quantity, discount_cents=discount_cents, tax_cents=tax_cents))
    return Basket(
        lines=tuple(lines),
        discount_code=code,
        discount_percent=percent,
        tax_percent=tax_percent,
        shipping_cents=draw.pick(_SHIPPING_CENTS),
        currency=draw.pick(_CURRENCIES),
    )


def returned(world: World, *, refund: int) -> Return:
    """What the refund gives back: the n-th refund of an order takes one piece of its n-th line."""
    order = refunded_order(world, refund=refund)
    line = refunds_of(world, order=order).index(refund)
    held = basket(world, order=order)
    article = held.lines[line]
    return Return(
        refund=refund,
        order=order,
        line=line,
        subtotal_cents=(article.total_cents - article.discount_cents) // article.quantity,
        tax_cents=article.tax_cents // article.quantity,
        shipping_cents=held.shipping_cents if line == 0 and refund % 5 == 0 else 0,
    )


def refunded_order(world: World, *, refund: int) -> int:
    """The order that the refund belongs to: one of the file before, or one refunded in part by the file before."""
    refunds, orders = world.populations["shopify/order_refunds"], world.populations["shopify/orders"]
    file = refunds.introduced_in(refund)
    place = refund - refunds.first(file)
    if _is_second(world, file=file, place=place):
        file, place = file - 1, place - 1
    earlier = max(file - 1, 0)
    stride = _stride(world, file=file)
    return orders.first(earlier) + place * stride + (stride // 2 if file == 0 else 0)


def refunds_of(world: World, *, order: int) -> tuple[int, ...]:
    """The order's refunds, oldest first, those to come included: the inverse of ``refunded_order``."""
    refunds, orders = world.populations["shopify/order_refunds"], world.populations["shopify/orders"]
    earlier = orders.introduced_in(order)
    position = order - orders.first(earlier)
    found = []
    for file in (0, 1) if earlier == 0 else (earlier + 1,):
        stride = _stride(world, file=file)
        place, rest = divmod(position - (stride // 2 if file == 0 else 0), stride)
        if rest or not 0 <= place < _refunds_in(world, file=file) or _is_second(world, file=file, place=place):
            continue
        found.append(refunds.first(file) + place)
        after = file + 1
        if _is_second(world, file=after, place=place + 1) and place + 1 < _refunds_in(world, file=after):
            found.append(refunds.first(after) + place + 1)
    return tuple(sorted(found))


def _refunds_in(world: World, *, file: int) -> int:
    return world.populations["shopify/order_refunds"].introduced(file)


def _stride(world: World, *, file: int) -> int:
    """How many orders of the file before lie between two that this file refunds."""
    orders = world.populations["shopify/orders"].introduced(max(file - 1, 0))
    return max(1, orders // max(1, world.populations["shopify/order_refunds"].introduced(file)))


def _is_second(world: World, *, file: int, place: int) -> bool:
    """Whether the refund is the second one of an order: every fourth of a file, where the file before has its first."""
    return file > 1 and place % 4 == 3 and place - 1 < _refunds_in(world, file=file - 1)
