"""Validates one batch on a Ray of its own with a validator that takes memory by the file: FILES GIGABYTES_A_FILE."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakeray.adapters.ray.executor import RayExecutor
from lakeray.adapters.ray.feeders import cluster
from lakeray.values.errors import LakerayError
from lakeray.values.model import Batch, Contract, Rejected, SourceFile, StreamName, Verdict

GB = 10**9
HELD_S = 3.0
"""Ray looks every 50 ms."""


@dataclass(frozen=True)
class Hungry:
    """A validator that rejects every file, after it took its memory."""

    file_bytes: int
    log: Path

    def validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        """Verdicts."""
        with self.log.open("a") as log:
            log.write(f"{len(batch.files)}\n")
        held = []
        for _ in range(len(batch.files) * self.file_bytes // 10**8):
            held.append(b"x" * 10**8)
        time.sleep(HELD_S)
        del held
        return tuple(Rejected(file=file, reason="empty", detail=contract.primary_key[0]) for file in batch.files)


def main(files: int, file_gb: float) -> None:
    """Print what came of it."""
    stream = StreamName("shop", "orders")
    listed = tuple(
        SourceFile(key=f"{number}.parquet", size_bytes=1, etag="e", last_modified=datetime(2026, 1, 1, tzinfo=UTC))
        for number in range(files)
    )
    batch = Batch(id="b", stream=stream, files=listed, size_bytes=files, projected_bytes=0)
    with tempfile.TemporaryDirectory() as folder:
        validator = Hungry(file_bytes=int(file_gb * GB), log=Path(folder) / "log")
        contract = Contract(columns=(), primary_key=("id",))
        found: dict[str, object] = {"verdicts": 0, "error": None}
        with cluster(address=None, num_cpus=1):
            try:
                executor = RayExecutor(validator)  # type: ignore[arg-type]
                ((_, verdicts),) = executor.validate([batch], contract=contract, ahead=1)
                found["verdicts"] = len(verdicts)
            except LakerayError as error:
                found |= {"error": error.kind, "about": error.about}
        found["sizes"] = [int(line) for line in validator.log.read_text().split()]
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
