"""Secrets out of texts that people and logs will see. Standard library only."""

from __future__ import annotations

import re

HIDDEN = "***"
_QUOTED_OR_PLAIN = r"""(?:'(?:[^'\\]|\\.|'')*'?|"[^"]*"?|[^\s'"&,;)}\]]+)"""
_PATTERNS = (
    # libpq strings, settings, URLs' queries: password=…, secret_access_key: …, X-Amz-Signature=…
    re.compile(
        r"(?i)((?:\b|_|-)(?:password|passwd|pwd|secret|access_?key(?:_?id)?|session_?token|signature|credential"
        rf"|security-token)[\w-]*(?:\s*=\s*|['\"]\s*[=:]\s*)){_QUOTED_OR_PLAIN}"
    ),
    # DuckDB's CREATE SECRET (… SECRET '…', KEY_ID '…', SESSION_TOKEN '…')
    re.compile(r"(?i)(\b(?:SECRET|KEY_ID|SESSION_TOKEN|PASSWORD)\s+)'(?:[^']|'')*'?"),
    # https://user:password@host
    re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"),
)


def redacted(text: str) -> str:
    """``text`` with what follows the name of a secret, and with passwords in addresses, replaced."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text
