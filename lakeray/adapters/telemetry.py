"""Events as log lines on stderr, and as OpenTelemetry spans and metrics where that is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol, TextIO
from urllib.parse import urlsplit, urlunsplit

from lakeray.values.events import (
    BatchCommitted,
    BatchTransformed,
    CursorBroken,
    CursorTypeKept,
    Event,
    FileRejected,
    LandingChanged,
    Noted,
    ObjectsDropped,
    RowsLeftOut,
    SampleFileWritten,
    StreamFinished,
    StreamStarted,
)
from lakeray.values.redaction import redacted

_QUIET = (StreamStarted, SampleFileWritten)
_WARNINGS = (FileRejected, Noted, ObjectsDropped, RowsLeftOut, CursorBroken, CursorTypeKept)


class Exporter(Protocol):
    """What telemetry settings say."""

    @property
    def exporter(self) -> str:
        """none, console or otlp."""

    @property
    def endpoint(self) -> str | None:
        """Where OTLP goes; None for the exporter's own default."""

    @property
    def service_name(self) -> str:
        """The service's name in spans and metrics."""


class Sink(Protocol):
    """An event sink that is closed at the end."""

    def emit(self, event: Event) -> None:
        """Take one event."""

    def close(self) -> None:
        """Flush."""


class LogSink:
    """Events as lines on stderr: ``key=value`` for people, JSON objects when ``output=json``."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._closed = False

    def emit(self, event: Event) -> None:
        """Write one line."""
        if self._closed or isinstance(event, _QUIET):
            return
        level = "error" if isinstance(event, StreamFinished) and event.error else "info"
        level = "warning" if isinstance(event, _WARNINGS) else level
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            line = json.dumps({"at": at, "level": level, "event": event.name, **_fields(event)}, default=str)
        else:
            fields = " ".join(f"{name}={_text(value)}" for name, value in _fields(event).items() if value != "")
            line = f"{at} {level} {event.name} {fields}"
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._closed = True  # stderr is gone: the work goes on

    def close(self) -> None:
        """Nothing to flush."""


class OtelSink:
    """Events as OpenTelemetry spans and metrics."""

    def __init__(self, settings: Exporter, *, headers: str | None) -> None:
        # Half a second of imports that only telemetry=console and =otlp pay.
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        spans, metrics = _exporters(settings, headers=headers)
        resource = Resource.create({"service.name": settings.service_name})
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(BatchSpanProcessor(spans))
        self._meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metrics)])
        self._tracer = self._traces.get_tracer("lakeray")
        meter = self._meters.get_meter("lakeray")
        self._files = meter.create_counter("lakeray.files", unit="{file}", description="Files taken in")
        self._rows = meter.create_counter("lakeray.rows", unit="{row}", description="Rows taken in")
        self._rejected = meter.create_counter("lakeray.rejected", unit="{file}", description="Files quarantined")
        self._commit_s = meter.create_histogram(
            "lakeray.steps.commit.duration", unit="s", description="One batch's commit"
        )
        self._transform_s = meter.create_histogram("lakeray.steps.merge.duration", unit="s", description="One dbt run")

    def emit(self, event: Event) -> None:
        """Record the event as a span that ends now, and count what it counts."""
        fields = _fields(event)
        seconds = fields.get("seconds")
        now_ns = int(datetime.now(UTC).timestamp() * 1e9)
        took_ns = int(float(seconds) * 1e9) if isinstance(seconds, float) else 0
        span = self._tracer.start_span(f"lakeray.{event.name}", start_time=now_ns - took_ns)
        for name, value in fields.items():
            span.set_attribute(f"lakeray.{name}", value if isinstance(value, str | bool | int | float) else str(value))
        span.end(end_time=now_ns)
        self._count(event)

    def close(self) -> None:
        """Send what is left."""
        self._traces.shutdown()
        self._meters.shutdown()

    def _count(self, event: Event) -> None:
        match event:
            case BatchCommitted():
                self._files.add(event.files, {"stream": event.stream})
                self._rows.add(event.rows, {"stream": event.stream})
                self._commit_s.record(event.seconds, {"stream": event.stream})
            case BatchTransformed():
                self._transform_s.record(event.seconds, {"stream": event.stream})
            case FileRejected():
                self._rejected.add(1, {"stream": event.stream, "reason": event.reason})
            case LandingChanged() | Event():
                return


class Sinks:
    """Several sinks as one, for any number of threads."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._turn = Lock()

    def emit(self, event: Event) -> None:
        """Hand the event to each."""
        with self._turn:
            for sink in self._sinks:
                sink.emit(event)

    def close(self) -> None:
        """Close each."""
        for sink in self._sinks:
            sink.close()


def open_sink(settings: Exporter, *, headers: str | None, output: str, progress: Sink | None) -> Sinks:
    """The sinks that the settings ask for: stderr always, OpenTelemetry where wanted.

    Args:
        headers: of OTLP's requests, ``name=value,…``; they may hold a secret.
        output: ``text`` or ``json``: the form of the lines on stderr.
        progress: what shows events to a person, in place of those lines.
    """
    first = progress or LogSink(sys.stderr, as_json=output == "json")
    return Sinks([first] if settings.exporter == "none" else [first, OtelSink(settings, headers=headers)])


def _exporters(settings: Exporter, *, headers: str | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 — exporters share no public base
    if settings.exporter == "otlp":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.util.re import parse_env_headers

        sent = None if headers is None else parse_env_headers(headers, liberal=True)
        return (
            OTLPSpanExporter(endpoint=_at(settings.endpoint, "v1/traces"), headers=sent),
            OTLPMetricExporter(endpoint=_at(settings.endpoint, "v1/metrics"), headers=sent),
        )
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    return ConsoleSpanExporter(out=sys.stderr), ConsoleMetricExporter(out=sys.stderr)


def _fields(event: Event) -> dict[str, object]:
    """The fields of an event; no text among them shows a secret."""
    return {name: redacted(value) if type(value) is str else value for name, value in event.as_fields().items()}


def _at(endpoint: str | None, path: str) -> str | None:
    """The address of one kind of signal below the endpoint; its query stays, for some collectors ask a key there."""
    if not endpoint:
        return None
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    is_plain = text.isprintable() and " " not in text and "=" not in text
    return text if is_plain else json.dumps(text, ensure_ascii=False)
