"""The benchmarks' proxies delay each exchange by a round trip, and none of them waits for another."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from benchmarks.proxies import Delay, proxy

DELAY_S = 0.05
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def _ask(port: int, *, times: int) -> float:
    """Seconds for so many exchanges on one connection, each sent when the one before was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.perf_counter()
    for number in range(times):
        writer.write(f"{number}\n".encode())
        assert await reader.readline() == f"{number}\n".encode()
    took = time.perf_counter() - started
    await _closed(writer)
    return took


async def _all_of(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = await reader.read()
    await _closed(writer)
    return found


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


@contextlib.asynccontextmanager
async def _server(answer: Answer) -> AsyncIterator[int]:
    """The port of a proxy to a server; all their connections are closed in the end."""
    answered: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(cast("asyncio.Task[None]", asyncio.current_task()))
        await answer(reader, writer)
        await _closed(writer)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        with proxy(server.sockets[0].getsockname()[1], delay_s=DELAY_S) as port:
            yield port
        await asyncio.gather(*answered)


def test_each_exchange_takes_a_round_trip_and_connections_wait_side_by_side():
    async def run() -> tuple[float, float]:
        async with _server(_echo) as port:
            alone = await _ask(port, times=4)
            started = time.perf_counter()
            each = await asyncio.gather(*(_ask(port, times=4) for _ in range(40)))
            together = time.perf_counter() - started
        assert min(each) >= 4 * DELAY_S
        return alone, together

    alone, together = asyncio.run(run())
    assert alone >= 4 * DELAY_S
    assert together < 40 * alone / 4  # served one after the other they would take 40 times as long


def test_requests_in_flight_on_one_connection_share_the_wait_and_keep_their_order():
    async def run() -> tuple[float, list[bytes]]:
        async with _server(_echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            started = time.perf_counter()
            for number in range(40):
                writer.write(f"{number}\n".encode())
                await writer.drain()
                await asyncio.sleep(0)
            answers = [await reader.readline() for _ in range(40)]
            took = time.perf_counter() - started
            await _closed(writer)
            return took, answers

    took, answers = asyncio.run(run())
    assert answers == [f"{number}\n".encode() for number in range(40)]
    assert DELAY_S <= took < 40 * DELAY_S / 4


def test_the_end_of_a_connection_comes_after_all_its_bytes():
    async def run() -> bytes:
        async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * 300_000)

        async with _server(tell) as port:
            return await _all_of(port)

    assert asyncio.run(run()) == b"x" * 300_000


def test_a_server_that_is_not_there_closes_the_connection():
    async def run() -> bytes:
        gone = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port = gone.sockets[0].getsockname()[1]
        gone.close()
        await gone.wait_closed()
        with proxy(port, delay_s=DELAY_S) as proxied:
            return await _all_of(proxied)

    assert asyncio.run(run()) == b""


def test_calls_of_one_moment_keep_their_order():
    async def run() -> list[int]:
        delay = Delay(asyncio.get_running_loop(), delay_s=0.01)
        done: list[int] = []
        ended = asyncio.Event()
        for number in range(100):
            delay.call(done.append, number)
        delay.call(ended.set)
        await ended.wait()
        return done

    assert asyncio.run(run()) == list(range(100))
