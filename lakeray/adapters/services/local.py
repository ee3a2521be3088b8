"""Real SeaweedFS and Postgres on this machine, for ``env=dev``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakeray.adapters.services import postgres, seaweedfs, state
from lakeray.ports.services import ServiceState


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServices:
    """The ``Services`` port. Data, logs and credentials are below ``root``; a port of 0 takes a free one, once."""

    root: Path
    s3_port: int
    postgres_port: int

    def up(self) -> None:
        """See ``Services``."""
        have = state.read(self.root) or state.fresh_state(s3_port=self.s3_port, postgres_port=self.postgres_port)
        state.write(self.root, have)
        state.write(self.root, seaweedfs.start(self.root, have))
        postgres.start(self.root, have)

    def down(self) -> None:
        """See ``Services``."""
        have = state.read(self.root)
        if have is not None:
            seaweedfs.stop(have)
            postgres.stop(self.root)

    def states(self) -> dict[str, ServiceState]:
        """See ``Services``."""
        have = state.read(self.root)
        if have is None:
            return {name: ServiceState(up=False, address=None) for name in ("seaweedfs", "postgres")}
        return {
            "seaweedfs": ServiceState(up=seaweedfs.answers(have), address=have.s3_endpoint),
            "postgres": ServiceState(up=postgres.running(self.root), address=f"127.0.0.1:{have.postgres_port}"),
        }
