"""``generate``: landing DDL and processed models from the stream configs, written or only checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import refused_json, refused_lines
from lakeray.settings.values import OnDelete, Settings, StreamSettings
from lakeray.streams import generated
from lakeray.values.errors import UsageError
from lakeray.values.model import StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Write the files that drifted; ``generate check`` only tells, and exits 1 when there are any.

    Of a stream whose config is refused nothing is written, what is there stays, and it exits 1.
    """
    if list(arguments) not in ([], ["check"]):
        raise UsageError("generate", expected="nothing, or check", found=" ".join(arguments))
    wrong = drifted(settings)
    paths = shown(settings, wrong)
    said, errors = refused_lines(settings.refused), refused_json(settings.refused)
    if arguments:
        lines = [f"{path} does not follow from its stream's config" for path in paths] + said
        text = "\n".join(lines) or "Every generated file follows from its stream's config."
        out.result({"drifted": paths, **errors}, text=text)
        return 1 if wrong or said else 0
    texts = wanted(settings)
    wiring.link_macros(wiring.absolute(settings.dbt.project_dir))
    for path in wrong:
        target = place_of(settings, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(texts[path].encode())  # a name may hold a carriage return
    lines = [f"wrote {path}" for path in paths] + said
    out.result({"written": paths, **errors}, text="\n".join(lines) or "Nothing to write.")
    return 1 if said else 0


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
    specs = [
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
    ]
    kept = [_kept(settings, item.name) for item in settings.refused if item.name != without]
    return generated.generated_files(specs, kept=kept)


def _kept(settings: Settings, name: StreamName) -> generated.Kept:
    paths = [place_of(settings, path(name.source)) for path in (generated.sources_path, generated.models_path)]
    sources, models = (path.read_bytes().decode() if path.exists() else "" for path in paths)
    return generated.kept_part(name, sources=sources, models=models)


def _as_written(stream: StreamSettings, name: str | None) -> str | None:
    return None if name is None else stream.as_written(name)


def place_of(settings: Settings, path: str) -> Path:
    """Where a generated file is."""
    return wiring.absolute(settings.dbt.project_dir) / path.removeprefix("dbt/")


def shown(settings: Settings, paths: Sequence[str]) -> list[str]:
    """Paths with the dbt project's own name in front."""
    name = wiring.absolute(settings.dbt.project_dir).name
    return [f"{name}/{path.removeprefix('dbt/')}" for path in paths]
