"""``init``: a project of one's own, in a folder. Needs none to run in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.cli import project
from lakeray.cli.terminal import Output
from lakeray.values.errors import UsageError, nearest

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "shop": ("conf/stream/**/*.yaml", "dbt/landing/**/*.sql", "dbt/models/**/*.sql", "dbt/models/**/*.yml")
}
"""What a template adds to a project, as patterns of the files that are installed."""
_TEMPLATE = "--template="
_DBT = ("dbt/dbt_project.yml", "dbt/macros/lakeray.sql")
"""What every project has of these."""


def run(arguments: Sequence[str], out: Output) -> int:
    """Write what a project begins with into a folder. A file that is there is kept."""
    folder, template = _asked(arguments)
    written, kept = [], []
    for path, source in sorted(files(template).items()):
        target = folder / path
        if target.exists():
            kept.append(path)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        written.append(path)
    (folder / "dbt" / "models" / "enriched").mkdir(parents=True, exist_ok=True)
    wiring.link_macros(folder / "dbt")
    out.result({"project": str(folder), "written": written, "kept": kept}, text=_told(folder, written, kept, template))
    return 0


def files(template: str | None) -> dict[str, Path]:
    """The files of a new project, by their paths in it, and where their texts are."""
    start = project.OURS / "init"
    found = {
        path.relative_to(start).as_posix(): path
        for path in start.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    named = {f".{path[1:]}" if path.startswith("_") else path: source for path, source in found.items()}
    patterns = () if template is None else TEMPLATES[template]
    ours = [path for pattern in (*_DBT, *patterns) for path in project.OURS.glob(pattern)]
    return named | {path.relative_to(project.OURS).as_posix(): path for path in ours}


def _asked(arguments: Sequence[str]) -> tuple[Path, str | None]:
    words = [word for word in arguments if not word.startswith(_TEMPLATE)]
    named = [word.removeprefix(_TEMPLATE) for word in arguments if word.startswith(_TEMPLATE)]
    template = named[-1] if named else None
    if template is not None and template not in TEMPLATES:
        raise UsageError(
            f"--template {template}",
            expected=" or ".join(TEMPLATES),
            found="none of this name",
            todo=nearest(template, TEMPLATES),
        )
    if len(words) > 1:
        raise UsageError("init", expected="one folder, or none for this one", found=" ".join(words))
    folder = Path(words[0] if words else ".").expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError("init", expected="a folder", found=f"the file {folder}")
    return folder, template


def _told(folder: Path, written: Sequence[str], kept: Sequence[str], template: str | None) -> str:
    lines = [f"wrote {path}" for path in written] if template is None else [f"wrote {len(written)} files"]
    lines += [f"kept {path}" for path in kept]
    lines.append(f"{folder} is a lakeray project.")
    if template is None:
        lines.append("→ a stream: conf/stream/{source}/{stream}.yaml, then `lakeray generate`; README.md says more")
    else:
        lines.append("→ `lakeray demo` fills it with a sample; `lakeray status` shows where it stands")
    return "\n".join(lines)
