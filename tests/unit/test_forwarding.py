"""The committer's port is written once: what forwards it has the same calls, and loses nothing on the way."""

from __future__ import annotations

import inspect
from typing import Any

from lakeray.ports.committer import Committer
from lakeray.ports.forwarding import ForwardingCommitter


class Recorder(ForwardingCommitter):
    """Keeps what passes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    @property
    def token(self) -> int:
        return 7

    def forward(self, name: str, *arguments: Any, **named: Any) -> Any:
        self.calls.append((name, arguments, named))
        return f"answer of {name}"


def calls_of(kind: type) -> dict[str, inspect.Signature]:
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(call) for name, call in functions if not name.startswith("_")}


def test_the_base_has_every_call_of_the_port_with_the_same_arguments() -> None:
    forwarded = {name: signature for name, signature in calls_of(ForwardingCommitter).items() if name != "forward"}
    assert forwarded == calls_of(Committer)


def test_every_call_is_passed_on_with_all_its_arguments_and_answered() -> None:
    for name, signature in calls_of(Committer).items():
        recorder = Recorder()
        values = {part: object() for part in signature.parameters if part != "self"}
        bound = {part: values[part] for part, spec in signature.parameters.items() if spec.kind is spec.KEYWORD_ONLY}
        plain = [values[part] for part in values if part not in bound]
        answer = getattr(recorder, name)(*plain, **bound)
        assert recorder.calls == [(name, tuple(plain), bound)]
        assert answer in (f"answer of {name}", None)
