"""The small ports: a clock that a test moves, a sink that remembers, an executor without threads, crashes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime, timedelta

from lakeray.steps.validate import verdict
from lakeray.values.events import Event
from lakeray.values.model import Batch, Contract, Rejected, RejectReason, SourceFile, Verdict
from tests.support.fakes.records import footer_of
from tests.support.fakes.store import MemoryStore

START = datetime(2026, 3, 31, 12, tzinfo=UTC)


class FakeClock:
    """The ``Clock`` port. Time stands still until a test moves it."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        """The time that the test set."""
        return self.at

    def monotonic_s(self) -> float:
        """The same time, in seconds."""
        return self.at.timestamp()

    def move(self, *, days: float = 0, seconds: float = 0) -> None:
        """Let time pass."""
        self.at += timedelta(days=days, seconds=seconds)


class RecordingSink:
    """The ``EventSink`` port."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def names(self) -> list[str]:
        """The names of the events, in order."""
        return [event.name for event in self.events]

    def of(self, name: str) -> list[Event]:
        """The events of one name."""
        return [event for event in self.events if event.name == name]


class PlainExecutor:
    """The ``Executor`` port: validates a batch when it is asked for, and not before."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.validated: list[str] = []
        self.given: list[Generator[tuple[Batch, tuple[Verdict, ...]], None, None]] = []
        """What was handed out, kept: nothing ends it but whoever asked for it."""

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts in the batches' order."""
        self.given.append(self._verdicts(batches, contract))
        return self.given[-1]

    def _verdicts(
        self, batches: Iterable[Batch], contract: Contract
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        for batch in batches:
            self.validated.append(batch.id)
            yield batch, tuple(self.judge(file, contract) for file in batch.files)

    def judge(self, file: SourceFile, contract: Contract) -> Verdict:
        """One file's verdict, from what the store holds now."""
        if file.problem:
            return Rejected(file=file, reason=RejectReason.NAME, detail=file.problem)
        try:
            footer = footer_of(self._store.read(file.key))
        except FileNotFoundError:
            return Rejected(file=file, reason=RejectReason.VANISHED, detail="expected the listed object, found none")
        except ValueError:
            return Rejected(file=file, reason=RejectReason.NOT_PARQUET, detail="expected Parquet, found other bytes")
        return verdict(file, footer, contract)
