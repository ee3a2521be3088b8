"""How far this machine's clock is from those that it works with: signatures of S3 requests and retention go by it."""

from __future__ import annotations

import http.client
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


def of_endpoint(url: str, *, now: datetime) -> float | None:
    """Seconds that this clock is ahead of an HTTP server's, to about a second; None when it does not say.

    Args:
        now: what this machine's clock says.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("HEAD", "/")
        said = connection.getresponse().getheader("Date")
        return None if said is None else (now - parsedate_to_datetime(said)).total_seconds()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
