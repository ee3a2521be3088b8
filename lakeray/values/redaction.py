"""Secrets out of texts that people and logs will see. Standard library only.

Told by what stands before them (``password=…``, ``?api_key=…``, ``https://user:…@host``), by their own form
(``AKIA…``), and by their value, once this process has read them. What only sounds like a secret stays: a stream
``token_events``, a field ``password_reset_at``, a secret that nobody gives away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "***"
_LEAST_KNOWN = 8
"""Characters of a value that is hidden wherever it stands; a shorter one may be a word of the language."""
_SURELY_KNOWN = 16
"""Characters of a value that is hidden also inside a longer word."""

_NAMED = re.compile(r"(?P<name>[\w.-]+)(?P<quote>['\"]?)(?P<sign>\s*=\s*|\s*:\s*)")
"""A name and what leads to its value: ``password = ``, ``'secret_access_key': ``, ``?api_key=``."""
_VALUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.|"")*"?|(?:(?:Bearer|Basic|Token|AWS4-HMAC-SHA256)\s+)?\S+"""
)
_QUERY_VALUE = re.compile(r"[^\s&#'\"<>]+")
_HIDDEN_ALREADY = re.compile(rf"{re.escape(HIDDEN)}(?!\w)")
_CLOSING = "'\")}],;:.>"
"""What may follow a value and is none of it."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LAST_WORD = (
    "password", "passwd", "pwd", "passphrase", "secret", "credential", "credentials", "signature", "authorization",
    "apikey", "secretkey", "accesskey",
)  # fmt: skip
_LAST_WORDS = (
    "access_key", "access_key_id", "account_key", "api_key", "encryption_key", "private_key", "secret_key",
    "signing_key", "access_token", "api_token", "auth_token", "bearer_token", "id_token", "refresh_token", "sas_token",
    "security_token", "session_token",
)  # fmt: skip
_IN_A_QUERY = ("auth", "key", "sig", "token")
"""Names that mean a secret in an address, and much else elsewhere."""
_NO_SECRET = re.compile(r"(?i)(?:true|false|null|none|yes|no)[)}\],;:.'\"]*$")

_FORMS = (
    # DuckDB's CREATE SECRET (… SECRET '…', KEY_ID '…', SESSION_TOKEN '…', password '…')
    re.compile(r"(?i)(\b(?:SECRET|KEY_ID|SESSION_TOKEN|PASSWORD|SSLPASSWORD)\s+)'(?:[^']|'')*'?"),
    # What S3 answers: <AWSAccessKeyId>…</AWSAccessKeyId>
    re.compile(r"(?i)(<\w*(?:AccessKeyId|SecretAccessKey|SessionToken|SignatureProvided)>)[^<]+"),
    # https://user:password@host. Not a port and an @ behind it: http://host:80/a@b
    re.compile(r"(\bs3[an]?://[^\s/:@]*:)\S+(?=@)"),
    re.compile(r"(://[^\s/:@]*:)(?!\d{1,5}(?:[/?#\s]|$))[^\s@]+(?:@[^\s/@]*)*(?=@)"),
    re.compile(r"(\b[Bb]earer\s+)(?=[^\s'\"]*\d)[\w.~+/=-]{16,}"),
    # Ids of AWS keys and roles, by their documented prefixes.
    re.compile(r"()\b(?:AKIA|ASIA|AGPA|AIDA|AIPA|ANPA|ANVA|AROA|ASCA|ABIA|ACCA)[A-Z0-9]{12,}\b"),
)


_MOST_OF_A_LINE = 200
_OPENING = re.compile(r"\"|(?<!\w)'")
"""What a value in a message begins with. An apostrophe within a word is none."""
_NUMBERS = re.compile(r"(?<=\bvalue )[-+.\w]+|(?<=\s)\([-+]?\d[^)]*\)")
"""Values without quotes: ``with value 300``, ``(300 + 1)``."""


class _Known:
    """The values that this process has read as secrets.

    The one thing here that changes: every error passes through ``redacted``, and none has the settings at hand.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        fresh = {form for value in values if len(value) >= _LEAST_KNOWN for form in _forms_of(value)} - self._values
        if not fresh:
            return
        self._values |= fresh
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(_alone(value) for value in longest_first))

    def hide(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


_known = _Known()


def remember(values: Iterable[str]) -> None:
    """Hide these values from now on, wherever they stand in a text, also as URLs, JSON and SQL write them.

    Args:
        values: secrets; those of fewer than 8 characters are only hidden by what stands before them.
    """
    _known.add(values)


def redacted(text: str) -> str:
    """``text`` without the secrets that can be told."""
    text = _without_named(_known.hide(text))
    for form in _FORMS:
        text = form.sub(rf"\g<1>{HIDDEN}", text)
    return text


def without_values(text: str) -> str:
    """A message of DuckDB's without the values of rows that it may repeat: what is in quotes, and numbers it names.

    From the first quote to the last one of its kind, for a value may hold quotes, too; to the end when there is no
    second one, for a value may hold line breaks.
    """
    shown, rest = [], text
    while (opened := _OPENING.search(rest)) is not None:
        last = rest.rfind(opened[0])
        shown += [rest[: opened.start()], "…"]
        rest = rest[last + 1 :] if last > opened.start() else ""
    return _NUMBERS.sub("…", "".join([*shown, rest]))


def line_without_values(text: str) -> str:
    """The first line of a message without values, of printable characters, at most 200 of them."""
    first = (text.splitlines() or [""])[0]
    return "".join(sign if sign.isprintable() else "?" for sign in without_values(first))[:_MOST_OF_A_LINE]


def names_secret(name: str) -> bool:
    """Whether a name stands for a secret: ``password`` and ``S3_ACCESS_KEY_ID``, but not ``password_reset_at``."""
    words = _CAMEL.sub("_", name).replace("-", "_").replace(".", "_").lower().strip("_").split("_")
    plain = "_".join(words)
    return (
        words[-1].endswith(_LAST_WORD)
        or any(plain == last or plain.endswith(f"_{last}") for last in _LAST_WORDS)
        or plain.startswith("dbt_env_secret_")
    )


def _without_named(text: str) -> str:
    parts: list[str] = []
    done = 0
    for named in _NAMED.finditer(text):
        if named.start() < done:
            continue
        value = _value_of(text, named)
        if value is not None:
            parts += [text[done : named.end()], HIDDEN]
            done = named.end() + len(value)
    return "".join([*parts, text[done:]])


def _value_of(text: str, named: re.Match[str]) -> str | None:
    """The secret behind a name; None when there is none."""
    name, at = named["name"], named.end()
    is_query = named.start() > 0 and text[named.start() - 1] in "?&" and named["sign"] == "="
    if not names_secret(name) and not (is_query and name.lower() in _IN_A_QUERY):
        return None
    if ":" in named["sign"] and not named["quote"] and not _leads_to_a_value(name):
        return None
    if _HIDDEN_ALREADY.match(text, at):
        return None
    found = (_QUERY_VALUE if is_query else _VALUE).match(text, at)
    if found is None or _NO_SECRET.match(found[0]):
        return None
    return found[0] if found[0][0] in "'\"" else found[0].rstrip(_CLOSING) or found[0]


def _leads_to_a_value(name: str) -> bool:
    """Whether a colon behind the plain name leads to its value. Behind a mere word it may just be prose."""
    return "_" in name or "-" in name or _CAMEL.search(name) is not None or name.lower() == "authorization"


def _forms_of(value: str) -> set[str]:
    """A value as it is, and as URLs, JSON, SQL and Python's own texts write it."""
    as_json, as_python = json.dumps(value)[1:-1], repr(value)[1:-1]
    return {value, quote(value), quote(value, safe=""), as_json, as_python, value.replace("'", "''")}


def _alone(value: str) -> str:
    """The pattern of a value: by itself, unless it is so long that nothing else has it in it."""
    plain = re.escape(value)
    return plain if len(value) >= _SURELY_KNOWN else rf"(?<![A-Za-z0-9]){plain}(?![A-Za-z0-9])"
