"""Names, places and phrases that real shops hold: accents, other scripts, quotes, emoji, backslashes, line breaks."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A city and how its country writes addresses."""

    city: str
    province: str
    province_code: str
    country: str
    country_code: str
    street: str
    zip: str
    latitude: float
    longitude: float
    timezone: str
    dial: str


class Product(NamedTuple):
    """An article of the shop; prices are cents."""

    number: int
    title: str
    variant: str
    vendor: str
    price_cents: int
    grams: int


FIRST_NAMES = (
    *("Anna", "Zoë", "José", "Łukasz", "Søren", "Siobhán", "Björn", "Nguyễn", "Chloé", "Mateusz", "Aisha", "Noah"),
    *("李娜", "Наталья", "Γιώργος", "يوسف", "さくら", "Mary-Jane", "D'Angelo", "Ana María", "İpek", "Olivia", "Kofi"),
)
LAST_NAMES = (
    *("Müller", "O'Brien", "García Márquez", "Nowak", "Jørgensen", "Smith", "van der Berg", "Þórsson", "Dvořák"),
    *("王", "Иванова", "Παπαδόπουλος", "حداد", "田中", "Okafor", "St. John", "Lefèvre", "Yılmaz", "de la Cruz"),
)
COMPANIES = (
    "Acme & Sons",
    'Bjarne "Bo" Møbler ApS',
    "Café Zürich GmbH",
    "Smith, Smith & Co.",
    "株式会社ひまわり",
    "Ångström AB",
)
NOTES = (
    'Please leave it at the "back door" 🚪',
    "Ring twice; it's the 2nd floor\nThanks!",
    "Geschenk 🎁 – bitte ohne Rechnung",
    "Пожалуйста, позвоните заранее",
    "Path on the label: C:\\gifts\\2026\t(100 % sure)",
    "'; DROP TABLE orders; --",
    "誕生日プレゼントです🎂",
    "👩‍👩‍👧 family order",
    "",
)
REFUND_NOTES = (
    "too small",
    'arrived "scratched" 😕',
    "changed my mind",
    "doppelt bestellt",
    "wrong colour – it's not what I saw",
)
TAGS = ("vip", "wholesale", "newsletter", "b2b, net-30", "first-time", "étudiant", "2026-launch")
DOMAINS = ("example.com", "example.org", "mail.example.net", "bücher.example")
AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
LOCALES = ("en-US", "de-DE", "fr-FR", "es-ES", "pl-PL", "ja-JP", "en-GB")
PLACES = (
    Place("Berlin", "Berlin", "BE", "Germany", "DE", "Torstraße", "10119", 52.5296, 13.4014, "Europe/Berlin", "+4930"),
    Place(
        "Zürich",
        "Zürich",
        "ZH",
        "Switzerland",
        "CH",
        "Bahnhofstrasse",
        "8001",
        47.3717,
        8.539,
        "Europe/Zurich",
        "+4144",
    ),
    Place(
        "Montréal",
        "Québec",
        "QC",
        "Canada",
        "CA",
        "Rue Saint-Denis",
        "H2X 3K8",
        45.5152,
        -73.5664,
        "America/Toronto",
        "+1514",
    ),
    Place(
        "Austin",
        "Texas",
        "TX",
        "United States",
        "US",
        "E 6th St",
        "78702",
        30.2655,
        -97.7287,
        "America/Chicago",
        "+1512",
    ),
    Place(
        "São Paulo",
        "São Paulo",
        "SP",
        "Brazil",
        "BR",
        "Avenida Paulista",
        "01310-100",
        -23.5614,
        -46.6559,
        "America/Sao_Paulo",
        "+5511",
    ),
    Place(
        "Kraków",
        "Małopolskie",
        "MA",
        "Poland",
        "PL",
        "ul. Floriańska",
        "31-019",
        50.0637,
        19.9393,
        "Europe/Warsaw",
        "+4812",
    ),
    Place("京都市", "京都府", "JP-26", "Japan", "JP", "四条通", "600-8001", 35.0037, 135.7594, "Asia/Tokyo", "+8175"),
    Place(
        "Saint-Étienne",
        "Loire",
        "42",
        "France",
        "FR",
        "Rue de l'Épée",
        "42000",
        45.4397,
        4.3872,
        "Europe/Paris",
        "+334",
    ),
)
PRODUCTS = tuple(
    Product(number, *details)
    for number, details in enumerate(
        (
            ("Trail Mug", "350 ml / Moss", "Northwind", 1490, 310),
            ("Trail Mug", "500 ml / Sand", "Northwind", 1790, 390),
            ('Poster "Fjord" 50×70', "Matte", "Papier & Co", 2450, 180),
            ("Café Blend Beans", "1 kg", "Röstwerk", 1895, 1020),
            ("Merino Socks – 3 Pack", "39-42", "Schäfer's", 2999, 150),
            ("Merino Socks – 3 Pack", "43-46", "Schäfer's", 2999, 160),
            ("Rain Jacket", "M / Blue", "Northwind", 12900, 640),
            ("Rain Jacket", "XL / Blue", "Northwind", 12900, 720),
            ("Head Torch 400 lm", "Default Title", "Lumen", 4495, 95),
            ("Dry Bag", '20 L / 12"', "Northwind", 2350, 260),
            ("Camp Chair", "Default Title", "Sitz & Platz", 6999, 1850),
            ("Enamel Pin 🏔", "Default Title", "Papier & Co", 695, 12),
            ("Thermos", "0.75 L", "Lumen", 3290, 480),
            ("Tent Peg", "Steel / 10 pcs", "Northwind", 999, 350),
            ("Down Sleeping Bag", "-5 °C", "Polar", 24950, 1350),
            ("Map – Łeba dunes 1:25 000", "Paper", "Karta", 1250, 80),
        )
    )
)
