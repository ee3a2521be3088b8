"""Delaying TCP proxies: a server on this machine as far away as one in a data centre.

What the server sends is handed on one round trip after it came, in order; what the client sends is handed on at once.
So an exchange of request and answer takes one round trip more, and everything in flight waits at the same time: many
connections, or many requests on one, are never served one after the other. A connection is accepted without delay.

A proxy is a process of its own: it must not share an interpreter with what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import selectors
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

from benchmarks.report import ROOT

_HIGH_WATER_BYTES = 1 << 20


@contextlib.contextmanager
def proxy(port: int, *, delay_s: float) -> Iterator[int]:
    """The port of a proxy to ``127.0.0.1:port`` that adds ``delay_s`` to each round trip.

    No delay needs no proxy: the port itself is given back.

    Raises:
        RuntimeError: the proxy's process does not start.
    """
    if delay_s <= 0:
        yield port
        return
    words = [sys.executable, "-m", "benchmarks.proxies", str(port), str(delay_s)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline().strip()
            if not said.isdigit():
                raise RuntimeError(f"the proxy to port {port} did not start: it said {said!r}")
            yield int(said)
        finally:
            process.terminate()


class Delay:
    """Calls made a fixed time after they were asked for, in order, however many wait: one timer in all."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, delay_s: float) -> None:
        self._loop = loop
        self._delay_s = delay_s
        self._waiting: deque[tuple[float, Callable[..., None], tuple[Any, ...]]] = deque()

    def call(self, act: Callable[..., None], *arguments: Any) -> None:
        """Call ``act`` when the time is over."""
        due_at = self._loop.time() + self._delay_s
        if not self._waiting:
            self._loop.call_at(due_at, self._fire)
        self._waiting.append((due_at, act, arguments))

    def _fire(self) -> None:
        waiting, now = self._waiting, self._loop.time()
        while waiting and waiting[0][0] <= now:
            _, act, arguments = waiting.popleft()
            act(*arguments)
        if waiting:
            self._loop.call_at(waiting[0][0], self._fire)


class _Side(asyncio.Protocol):
    """One end of a proxied connection. ``other`` is the transport of the opposite end."""

    def __init__(self, delay: Delay | None, *, on_made: Callable[[_Side], None] | None = None) -> None:
        self._delay = delay
        self._on_made = on_made
        self._early: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self._other: _Side | None = None

    def join(self, other: _Side) -> None:
        """From now on what this end receives goes to ``other``."""
        self._other = other
        early, self._early = self._early, []
        for data in early:
            self._pass(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The end is open."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Hand it on, now or later."""
        if self._other is None:
            self._early.append(data)
        else:
            self._pass(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The other end closes when all that came before has been handed on."""
        if self._other is None:
            return
        if self._delay is None:
            self._other.close()
        else:
            self._delay.call(self._other.close)

    def close(self) -> None:
        """Close this end, after what is still to be written."""
        if self.transport is not None:
            self.transport.close()

    def write(self, data: bytes) -> None:
        """Send to this end's peer; what comes for a closed one is dropped."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def _pass(self, data: bytes) -> None:
        assert self._other is not None
        if self._delay is None:
            self._other.write(data)
        else:
            self._delay.call(self._other.write, data)


async def serve(target: int, *, delay_s: float) -> asyncio.Server:
    """A listening proxy on a free port to ``127.0.0.1:target``."""
    loop = asyncio.get_running_loop()
    delay = Delay(loop, delay_s=delay_s)
    opening: set[asyncio.Task[None]] = set()

    async def reach(client: _Side) -> None:
        try:
            _, server = await loop.create_connection(lambda: _Side(delay), "127.0.0.1", target)
        except OSError:
            client.close()
            return
        server.join(client)
        client.join(server)

    def accept(client: _Side) -> None:
        task = loop.create_task(reach(client))
        opening.add(task)
        task.add_done_callback(opening.discard)

    return await loop.create_server(lambda: _Side(None, on_made=accept), "127.0.0.1", 0, backlog=512)


async def _run(target: int, delay_s: float) -> None:
    server = await serve(target, delay_s=delay_s)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """``python -m benchmarks.proxies PORT SECONDS``: serve until terminated; prints its own port first."""
    parser = argparse.ArgumentParser(description="a TCP proxy that delays answers")
    parser.add_argument("port", type=int)
    parser.add_argument("delay_s", type=float)
    given = parser.parse_args()
    # epoll waits in whole milliseconds, rounded up: a round trip of 1 ms would become one of up to 2.
    selector = selectors.SelectSelector() if given.delay_s < 0.01 else selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.run_until_complete(_run(given.port, given.delay_s))


if __name__ == "__main__":
    main()
