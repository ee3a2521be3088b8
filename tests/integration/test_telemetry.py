"""Events as log lines and as OTLP requests: no text in them shows a secret, and the collector gets its own."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakeray.adapters.telemetry import LogSink, open_sink
from lakeray.settings.values import Secret, TelemetrySettings
from lakeray.values.events import Noted, StreamStarted

SAID = "the server answered password=hunter2, https://me:hunter2@host"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_line_shows_no_secret(as_json: bool) -> None:
    stream = io.StringIO()
    LogSink(stream, as_json=as_json).emit(Noted(message=SAID))
    line = stream.getvalue()
    assert "hunter2" not in line and "the server answered" in line
    if as_json:
        assert json.loads(line)["event"] == "noted"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """An address, and what was sent there: path, header, body."""
    got: list[tuple[str, str | None, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["X-Api-Key"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/otlp/?api_key=mine", got
    server.shutdown()
    server.server_close()


def test_the_collector_gets_its_headers_and_its_query_and_no_other_secret(
    collector: tuple[str, list[tuple[str, str | None, bytes]]],
) -> None:
    endpoint, got = collector
    settings = TelemetrySettings(exporter="otlp", endpoint=endpoint, headers=Secret("x-api-key=mine%20too"))
    assert settings.headers is not None
    sink = open_sink(
        settings, headers=settings.headers.reveal(), output="json", progress=LogSink(io.StringIO(), as_json=True)
    )
    sink.emit(StreamStarted(stream="shopify/orders"))
    sink.emit(Noted(message=SAID))
    sink.close()
    assert {path for path, _, _ in got} >= {"/otlp/v1/traces?api_key=mine"}
    assert {header for _, header, _ in got} == {"mine too"}
    assert not any(b"hunter2" in body for _, _, body in got)
    assert any(b"the server answered" in body for _, _, body in got)
    assert "mine" not in repr(settings)
