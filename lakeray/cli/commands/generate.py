"""``generate``: landing DDL and processed models from the stream configs, written or only checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.settings.values import OnDelete, Settings, StreamSettings
from lakeray.streams import generated
from lakeray.values.errors import UsageError
from lakeray.values.model import StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Write the files that drifted; ``generate check`` only tells, and exits 1 when there are any."""
    if list(arguments) not in ([], ["check"]):
        raise UsageError("generate", expected="nothing, or check", found=" ".join(arguments))
    wrong = drifted(settings)
    if arguments:
        text = "\n".join(f"{path} does not follow from its stream's config" for path in shown(settings, wrong))
        out.result(
            {"drifted": shown(settings, wrong)}, text=text or "Every generated file follows from its stream's config."
        )
        return 1 if wrong else 0
    texts = wanted(settings)
    wiring.link_macros(wiring.absolute(settings.dbt.project_dir))
    for path in wrong:
        target = place_of(settings, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(texts[path].encode())  # a name may hold a carriage return
    written = shown(settings, wrong)
    out.result({"written": written}, text="\n".join(f"wrote {path}" for path in written) or "Nothing to write.")
    return 0


def drifted(settings: Settings) -> list[str]:
    """Generated files that are missing or differ. A model whose generated header was removed is the user's own."""
    found = []
    for path, text in wanted(settings).items():
        target = place_of(settings, path)
        have = target.read_bytes().decode() if target.exists() else None
        if have is not None and path.startswith("dbt/models/") and not generated.is_generated(have):
            continue
        if have != text:
            found.append(path)
    return found


def wanted(settings: Settings, *, without: StreamName | None = None) -> dict[str, str]:
    """Every file that follows from the configured streams, by path; ``dbt/`` in it is ``dbt.project_dir``.

    Args:
        without: a stream that is left out.
    """
    return generated.generated_files(
        generated.StreamSpec(
            name=stream.name,
            contract=stream.landing_contract(),
            cursor_field=_as_written(stream, stream.cursor_field),
            cursor_type=stream.cursor_type,
            deleted_column=_as_written(stream, stream.deleted_column),
            hard_delete=stream.on_delete is OnDelete.REMOVE,
            descriptions=stream.descriptions,
        )
        for stream in settings.streams.values()
        if stream.name != without
    )


def _as_written(stream: StreamSettings, name: str | None) -> str | None:
    return None if name is None else stream.as_written(name)


def place_of(settings: Settings, path: str) -> Path:
    """Where a generated file is."""
    return wiring.absolute(settings.dbt.project_dir) / path.removeprefix("dbt/")


def shown(settings: Settings, paths: Sequence[str]) -> list[str]:
    """Paths with the dbt project's own name in front."""
    name = wiring.absolute(settings.dbt.project_dir).name
    return [f"{name}/{path.removeprefix('dbt/')}" for path in paths]
