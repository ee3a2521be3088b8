"""A host of its own for a committer: a network namespace whose cable can be cut without either side hearing of it.

The addresses are made here, in a namespace that ends with the test. What the kernel does not let us make is said, and
the test is skipped.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest

from lakeray.adapters.services import postgres
from tests.realstack.proxy import Proxy
from tests.realstack.stack import Feed, RealLake, Stack

NEAR, FAR = "10.213.77.1", "10.213.77.2"
_NOBODY = "02:00:00:00:00:99"
"""No network card has this address: a frame to it arrives nowhere, and nobody is told."""
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class FarHost:
    """A namespace with one cable to this one, where Postgres and a way to SeaweedFS listen."""

    stack: Stack
    name: str
    s3: Proxy
    near_address: str
    """Of the network cards, as they are when the cable is whole."""
    far_address: str

    def feed(self, lake: RealLake, *words: str, fault: str = "") -> Feed:
        """A feed on that host."""
        there = replace(lake, s3_port=self.s3.port, postgres_port=self.stack.state.postgres_port, host=NEAR)
        return there.feed(*words, fault=fault, before=("ip", "netns", "exec", self.name))

    def cut(self) -> None:
        """From now on nothing arrives, either way; no connection ends by it."""
        self._neighbours(near=_NOBODY, far=_NOBODY)

    def heal(self) -> None:
        """The cable is whole again."""
        self._neighbours(near=self.near_address, far=self.far_address)

    def _neighbours(self, *, near: str, far: str) -> None:
        _ip("neigh", "replace", FAR, "lladdr", far, "dev", f"{self.name}n", "nud", "permanent")
        _ip("-n", self.name, "neigh", "replace", NEAR, "lladdr", near, "dev", f"{self.name}f", "nud", "permanent")


@contextmanager
def far_host(stack: Stack) -> Iterator[FarHost]:
    """Make the host, and have Postgres listen to it, until the block ends."""
    name = f"lr{os.getpid() % 100_000}x{next(_numbers)}"
    with ExitStack() as undo:
        _cable(name, undo)
        stack.stop_postgres()
        undo.callback(stack.start_postgres)
        _listen(stack, undo)
        s3 = undo.enter_context(Proxy(stack.state.s3_port, host=NEAR))
        yield FarHost(
            stack=stack,
            name=name,
            s3=s3,
            near_address=_card(f"{name}n"),
            far_address=_card(f"{name}f", namespace=name),
        )


def _cable(name: str, undo: ExitStack) -> None:
    if shutil.which("ip") is None:
        pytest.skip("the program ip (iproute2) is not installed: no network namespace can be made")
    try:
        _ip("netns", "add", name)
        undo.callback(_ip, "netns", "del", name)
        _ip("link", "add", f"{name}n", "type", "veth", "peer", "name", f"{name}f", "netns", name)
        undo.callback(_ip, "link", "del", f"{name}n")
        for namespace, end, address in (((), "n", NEAR), (("-n", name), "f", FAR)):
            _ip(*namespace, "addr", "add", f"{address}/24", "dev", f"{name}{end}")
            _ip(*namespace, "link", "set", f"{name}{end}", "up")
        _ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as refused:
        undo.close()
        pytest.skip(f"the kernel makes no network namespace here: {refused.stderr.strip()}")


def _listen(stack: Stack, undo: ExitStack) -> None:
    """Start Postgres so that the other host reaches it too."""
    root, hba = stack.root, stack.root / "services/postgres/pg_hba.conf"
    before = hba.read_text(encoding="utf-8")
    undo.callback(hba.write_text, before, encoding="utf-8")
    undo.callback(stack.stop_postgres)
    hba.write_text(f"{before}host all all {FAR}/32 scram-sha-256\n", encoding="utf-8")
    options = postgres._options(root, stack.state).replace("-h 127.0.0.1 ", f"-h 127.0.0.1,{NEAR} ")
    assert NEAR in options, options
    data, log = str(root / "services/postgres"), str(root / "services/postgres/server.log")
    postgres._pg_ctl(postgres._server(root), "-w", "-o", options, "-l", log, "-D", data, "start")


def _card(name: str, *, namespace: str | None = None) -> str:
    within = () if namespace is None else ("-n", namespace)
    words = _ip(*within, "-o", "link", "show", "dev", name).split()
    return words[words.index("link/ether") + 1]


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30).stdout
