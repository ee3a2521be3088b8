"""A faulty way to a server: a TCP proxy that delays, stalls, refuses, resets, cuts off, and answers in its stead."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

_CHUNK = 64 * 1024
_REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) ([^ ]+) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_ANSWERS = {403: ("Forbidden", "AccessDenied"), 503: ("Slow Down", "SlowDown")}
_CHANGES = re.compile(rb"INSERT INTO [^;]{0,200}?\bducklake_snapshot_changes\b")
"""DuckLake names the catalog's schema, the catalog writer does not."""
_BEGIN = b"BEGIN"
"""What a transaction starts with, whoever sends it: DuckDB adds how, the catalog writer does not."""


@dataclass(kw_only=True)
class Faults:
    """What goes wrong now. Counters go down as faults are used up; ``used`` counts up."""

    delay_s: float = 0.0
    """Before each chunk, each way."""
    stalled: bool = False
    """Nothing is passed on, and no connection ends."""
    refusing: bool = False
    """New connections are reset at once."""
    slow_down: int = 0
    """So many HTTP requests are answered with ``status`` and never reach the server."""
    status: int = 503
    """503, which a client tries again, or 403, which it does not."""
    reset_requests: int = 0
    """So many HTTP requests are answered by a reset."""
    truncate: int = 0
    """So many GETs with a body longer than ``truncate_at`` are cut off there."""
    truncate_at: int = 100
    only: bytes = b""
    """HTTP faults are for requests whose first line holds this."""
    cut_at: Callable[[bytes], bool] | None = None
    """Asked with what a connection's client has sent since its last BEGIN, each time more comes; True cuts."""
    cut_after: bool = False
    """Cut when the server has answered that, and keep the answer; else before the server sees it."""
    cuts: int = 1
    used: int = 0
    asked: list[bytes] = field(default_factory=list)
    """Method and path of each HTTP request, faulty or not."""


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    sent: bytes = b""
    """What the client has sent since its last BEGIN, for ``cut_at``."""
    body_left: int | None = None
    """Bytes of the response that may still pass; None when all may."""
    truncating: bool = False
    cut_on_answer: bool = False


@dataclass(eq=False)
class Proxy:
    """A proxy on a port of its own to ``127.0.0.1:target``, on a thread of its own. Set ``faults`` at any time."""

    target: int
    host: str = "127.0.0.1"
    """Where it listens."""
    faults: Faults = field(default_factory=Faults)
    port: int = 0
    passed_bytes: int = 0
    _connections: set[_Connection] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> Proxy:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, self.host, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.faults = Faults()

    def reset_all(self) -> int:
        """Reset every connection now, both ways; says how many there were."""

        async def reset() -> int:
            found = list(self._connections)
            for connection in found:
                _reset(connection)
            return len(found)

        return self._call(reset())

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _close(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            _reset(connection)
        here = asyncio.current_task()
        waiting = [task for task in asyncio.all_tasks() if task is not here]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refusing:
            self.faults.used += 1
            _abort(writer)
            return
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _abort(writer)
            return
        connection = _Connection(writer, forth)
        self._connections.add(connection)
        try:
            await asyncio.gather(self._requests(reader, connection), self._answers(back, connection))
        except (OSError, asyncio.CancelledError):
            pass  # reset by one side or the other, or the proxy ends
        finally:
            self._connections.discard(connection)
            _reset(connection)

    async def _requests(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._hold_up()
            if await self._http_fault(chunk, reader, connection) or self._cut(chunk, connection):
                return
            connection.server.write(chunk)
            await connection.server.drain()
        with contextlib.suppress(OSError):
            connection.server.write_eof()

    async def _answers(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while chunk := await reader.read(_CHUNK):
            await self._hold_up()
            if connection.cut_on_answer:
                _reset(connection)
                return
            if connection.truncating:
                chunk = self._shortened(chunk, connection)
            connection.client.write(chunk)
            await connection.client.drain()
            self.passed_bytes += len(chunk)
            if connection.body_left == 0:
                connection.client.close()
                connection.server.transport.abort()
                return
        connection.client.close()

    async def _hold_up(self) -> None:
        if self.faults.delay_s:
            await asyncio.sleep(self.faults.delay_s)
        while self.faults.stalled:
            await asyncio.sleep(0.02)

    async def _http_fault(self, chunk: bytes, reader: asyncio.StreamReader, connection: _Connection) -> bool:
        faults = self.faults
        request = _REQUEST.match(chunk)
        if request is not None:
            faults.asked.append(request[1] + b" " + request[2])
        if request is None or faults.only not in chunk.split(b"\r\n", 1)[0]:
            return False
        connection.truncating, connection.body_left = False, None
        if faults.slow_down > 0:
            faults.slow_down, faults.used = faults.slow_down - 1, faults.used + 1
            await _take_body(chunk, reader)
            connection.client.write(_answer(faults.status, with_body=request[1] != b"HEAD"))
            await connection.client.drain()
            connection.client.close()
            connection.server.transport.abort()
            return True
        if faults.reset_requests > 0:
            faults.reset_requests, faults.used = faults.reset_requests - 1, faults.used + 1
            _reset(connection)
            return True
        connection.truncating = faults.truncate > 0 and request[1] == b"GET"
        return False

    def _shortened(self, chunk: bytes, connection: _Connection) -> bytes:
        if connection.body_left is None:
            head, end, body = chunk.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n")
            at = self.faults.truncate_at
            if length is None or int(length[1]) <= at or self.faults.truncate <= 0:
                connection.truncating = False
                return chunk
            self.faults.truncate, self.faults.used = self.faults.truncate - 1, self.faults.used + 1
            passing = body[:at]
            connection.body_left = at - len(passing)
            return head + end + passing
        passing = chunk[: connection.body_left]
        connection.body_left -= len(passing)
        return passing

    def _cut(self, chunk: bytes, connection: _Connection) -> bool:
        faults = self.faults
        if faults.cut_at is None or faults.cuts <= 0:
            return False
        connection.sent += chunk
        begun = connection.sent.rfind(_BEGIN)
        connection.sent = connection.sent[begun if begun >= 0 else -len(_BEGIN) :]
        if not faults.cut_at(connection.sent):
            return False
        faults.cuts, faults.used = faults.cuts - 1, faults.used + 1
        if faults.cut_after:
            connection.cut_on_answer = True
            return False
        _reset(connection)
        return True


def _answer(status: int, *, with_body: bool) -> bytes:
    reason, code = _ANSWERS[status]
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{reason}</Message></Error>'
    lines = (f"HTTP/1.1 {status} {reason}", "Content-Type: application/xml", f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "Connection: close", "", ""])
    return (head + (body if with_body else "")).encode()


async def _take_body(chunk: bytes, reader: asyncio.StreamReader) -> None:
    # A client that still sends when the answer comes and the connection closes sees a reset instead of the answer.
    head, _, body = chunk.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    left = int(length[1]) - len(body) if length else 0
    while left > 0 and (more := await reader.read(min(left, _CHUNK))):
        left -= len(more)


def _reset(connection: _Connection) -> None:
    _abort(connection.client)
    _abort(connection.server)


def _abort(writer: asyncio.StreamWriter) -> None:
    # Linger of 0 seconds: close sends RST instead of FIN.
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def committing(message: bytes) -> Callable[[bytes], bool]:
    """Whether COMMIT was just sent for the DuckLake snapshot whose commit message holds ``message``."""

    def asked(sent: bytes) -> bool:
        changes = _CHANGES.search(sent)
        written = sent.find(message, changes.end()) if changes is not None else -1
        return written >= 0 and sent.find(b"COMMIT\0", written) >= 0

    return asked
