"""Settings composed by Hydra. The only module that imports Hydra and OmegaConf."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lakeray.airbyte.paths import VARIABLES
from lakeray.cli import project
from lakeray.cli.credentials import completed, secret
from lakeray.cli.parse import Call
from lakeray.settings.conversion import is_stream_name, require_streams, settings_from
from lakeray.settings.values import RefusedStream, Settings
from lakeray.values.errors import UsageError, nearest
from lakeray.values.keys import shown as shown_key
from lakeray.values.model import StreamName
from lakeray.values.redaction import HIDDEN, names_secret
from lakeray.values.redaction import redacted as without_secrets

_MAY_HOLD_ONE = ("catalog", "headers")
"""Settings that are no secret by name, and may have one in them."""
_AIRBYTES = re.compile(rf"(?<!\\)\$\{{(?:{'|'.join(VARIABLES)})\}}")
_ONLY_A_PATH = re.compile(r"^\w+:/(?!/)")
"""An address that holds no credentials, whatever its scheme."""


def compose(call: Call, streams: Sequence[str] | None = None) -> Any:
    """The composed config of a call, its interpolations not resolved yet.

    Args:
        streams: whatever the call says of streams, these; None: those that it names.

    Raises:
        UsageError: an override names no setting, or a stream that is not configured.
    """
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("absolute", _absolute, replace=True)
    OmegaConf.register_new_resolver("file_url", _file_url, replace=True)
    OmegaConf.register_new_resolver("project", lambda *parts: str(project.found().joinpath(*parts)), replace=True)
    OmegaConf.register_new_resolver("service", _service, replace=True)
    OmegaConf.register_new_resolver("secret", secret, replace=True)
    OmegaConf.register_new_resolver("environment", _environment, replace=True)
    names = list(stream_names(call.config_dir))
    words = [word for word in call.overrides if _names_streams(word)]
    chosen = _chosen(words, names) if streams is None else streams
    overrides = [_also_when_absent(word, names) for word in call.overrides if not _names_streams(word)]
    if chosen:
        overrides.append(f"+stream=[{','.join(chosen)}]")
    # A stream is appended to the defaults: its settings exist only after it, so overrides of them come last.
    overrides.sort(key=lambda word: _key(word).startswith("streams."))
    return _composed(call, overrides)


def default_of(key: str) -> str:
    """What the config says of a setting when nobody overrides it, as the config writes it: ``256MB``, ``null``.

    Raises:
        UsageError: the config cannot be composed.
        KeyError: there is no such setting.
    """
    value = _defaults(_home_or_none())
    for part in key.split("."):
        value = value[part]
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


@cache
def _defaults(_home: Path | None) -> Any:
    from omegaconf import OmegaConf

    nothing = Call(command="", arguments=(), overrides=(), config_dir=None, show_config=False)
    # Without the streams, which take longer to compose than all the rest.
    return OmegaConf.to_container(_composed(nothing, []), resolve=False)


def _home_or_none() -> Path | None:
    """Help is also asked for where there is no project yet."""
    try:
        return project.found()
    except UsageError:
        return None


def _composed(call: Call, overrides: list[str]) -> Any:
    """The config of a project: of a file that its conf/, lakeray's own and --config-dir have, the first is taken."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    Plugins.instance().register(_projects_folders())
    behind = [] if call.config_dir is None else [Path(call.config_dir).expanduser().absolute()]
    more = [f"hydra.searchpath=[{_hydra_text(f'file://{folder}')}]" for folder in behind]
    try:
        with initialize_config_dir(config_dir=str(project.OURS / "conf"), version_base="1.3"):
            return hydra_compose(config_name="config", overrides=[*overrides, *more])
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError, RecursionError) as error:
        raise _usage_error(error, call) from None  # the cause's text may repeat a value


@cache
def _projects_folders() -> Any:
    """Hydra's way to look somewhere before the folder of the primary config, which has to be lakeray's own."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class ProjectsFolders(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            home = _home_or_none()
            for folder in [project.OURS / "init"] if home is None else [home, project.OURS / "init"]:
                search_path.prepend("lakeray", f"file://{folder / 'conf'}", "main")

    return ProjectsFolders


def composed(call: Call, streams: Sequence[str] | None = None) -> dict[str, Any]:
    """The composed values of a call. Resolved once: a secret that reads like an interpolation is not taken for one.

    Args:
        streams: as of ``compose``.

    Raises:
        UsageError: an override names no setting, or a stream that is not configured, or a value cannot be had.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = compose(call, streams)
    try:
        _keep_variables(config)
        values = OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, ValueError) as error:
        raise _usage_error(error, call) from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def shown(call: Call) -> str:
    """The settings in effect as YAML, without their secrets.

    Raises:
        UsageError: as of ``composed``.
    """
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(redacted(composed(call)))


def settings_of(call: Call) -> Settings:
    """The settings of a call. A stream whose config is refused is in ``refused``, and the others are as ever.

    Raises:
        UsageError: a setting is wrong, or the config of the only streams that the call is about; names it.
    """
    words = [word for word in call.overrides if _names_streams(word)]
    chosen = _chosen(words, list(stream_names(call.config_dir)))
    try:
        return _of(call, chosen)
    except UsageError as error:
        if not chosen:
            raise
        first = error
    # Not inside of the handler: what fails there would have this error for its context, and be taken for it.
    return _one_by_one(call, chosen, first)


def _of(call: Call, names: Sequence[str]) -> Settings:
    """The settings of a call about these streams, if every one of them is itself."""
    unnamed = next((name for name in names if not is_stream_name(*name.split("/", 1))), None)
    if unnamed is not None:
        found = shown_key(unnamed)
        raise UsageError(f"conf/stream/{found}.yaml", expected="lower-case names of letters, digits and _", found=found)
    slugs = {name: name.replace("/", "__") for name in names}
    values = completed(composed(call, names))
    absent = next((name for name, slug in slugs.items() if slug not in (values["streams"] or ())), None)
    if absent is not None:
        raise _another_stream(absent, found="no such stream in it")
    made = settings_from(_from_the_project(values))
    for name, slug in slugs.items():
        if str(made.streams[slug].name) != name:
            raise _another_stream(name, found=f"the stream {made.streams[slug].name}")
    require_streams(made)
    return made


def _another_stream(name: str, *, found: str) -> UsageError:
    source, stream = name.split("/", 1)
    return UsageError(
        f"conf/stream/{name}.yaml",
        expected=f"`# @package streams.{source}__{stream}` as its first line, source: {source}, stream: {stream}",
        found=found,
        todo="The file's folder and name are the stream's",
    )


def _one_by_one(call: Call, chosen: Sequence[str], first: UsageError) -> Settings:
    """The settings of a call of which some stream's config is refused, or something that is no stream's.

    Raises:
        UsageError: it is no stream's; or no stream is left; or the call itself says what is wrong about one.
    """
    _of(_about(call, (), chosen), ())
    errors = dict(_refused(call, chosen))
    kept = [name for name in chosen if name not in errors]
    together = _kept(call, kept, chosen)
    while kept and isinstance(together, UsageError):
        # Each is right by itself, and not beside another: both of them are refused.
        at_odds = _at_odds(call, kept, chosen, together)
        if not at_odds:
            raise together
        errors |= dict.fromkeys(at_odds, together)
        kept = [name for name in kept if name not in errors]
        together = _kept(call, kept, chosen)
    said = [error for name, error in errors.items() if any(_is_of(word, name) for word in call.overrides)]
    if said or isinstance(together, UsageError) or not kept:
        raise (said or list(errors.values()) or [first])[0]
    refused = [RefusedStream(name=StreamName(*name.split("/", 1)), error=error) for name, error in errors.items()]
    return replace(together, refused=tuple(sorted(refused, key=lambda item: item.name)))


def _kept(call: Call, names: Sequence[str], chosen: Sequence[str]) -> Settings | UsageError:
    try:
        return _of(_about(call, names, chosen), names)
    except UsageError as error:
        return error


def _at_odds(call: Call, names: Sequence[str], chosen: Sequence[str], error: UsageError) -> list[str]:
    """The stream that the error names, and those beside which it is refused; none when it names none."""
    named = next((name for name in names if error.about.startswith(f"streams.{name.replace('/', '__')}.")), None)
    if named is None:
        return []
    others = [name for name in names if name != named]
    return [named, *(other for other in others if isinstance(_kept(call, [named, other], chosen), UsageError))]


def _refused(call: Call, chosen: Sequence[str]) -> Iterator[tuple[str, UsageError]]:
    for name in chosen:
        try:
            _of(_about(call, [name], chosen), [name])
        except UsageError as error:
            about = f"conf/stream/{shown_key(name)}.yaml"
            named = error.about.startswith(("conf/stream/", "streams."))
            yield (
                name,
                UsageError(
                    error.about if named else f"{about}: {error.about}",
                    expected=error.expected,
                    found=error.found,
                    todo=error.todo or f"Mend {about}; the other streams do not wait for it",
                ),
            )


def _about(call: Call, names: Sequence[str], chosen: Sequence[str]) -> Call:
    """The call without what it says of streams other than these of the chosen ones."""
    others = [name for name in chosen if name not in names]
    words = [word for word in call.overrides if not any(_is_of(word, name) for name in others)]
    return replace(call, overrides=tuple(words))


def _is_of(word: str, name: str) -> bool:
    """Whether an override is of a setting of the stream."""
    return _key(word).startswith(f"streams.{name.replace('/', '__')}.")


def _from_the_project(values: dict[str, Any]) -> dict[str, Any]:
    """Values whose relative places are the project's: a command finds the same lake from each of its folders."""
    paths, dbt, lake = dict(values["paths"]), dict(values["dbt"]), dict(values["lake"])
    _refuse_lake_left_behind(str(paths.get("root", "")))
    for group, key in ((paths, "root"), (dbt, "project_dir"), (lake, "data_path")):
        if isinstance(group.get(key), str) and group[key].strip() and "://" not in group[key]:
            end = "/" if group[key].endswith("/") else ""
            group[key] = str(project.anchored(group[key])) + end
    scheme, colon, address = str(lake.get("catalog", "")).partition(":")
    if address and not set("=:") & set(address):  # a file, and no connection
        lake["catalog"] = f"{scheme}{colon}{project.anchored(address)}"
    return {**values, "paths": paths, "dbt": dbt, "lake": lake}


def _refuse_lake_left_behind(root: str) -> None:
    """An earlier version took a relative paths.root from the folder that one was in: see that no lake is left there.

    In the folder of another project it is that one's own: LAKERAY_HOME names this one.

    Raises:
        UsageError: a lake lies there, and none in the project.
    """
    before, now, here = Path(root).expanduser().absolute(), project.anchored(root), Path.cwd()
    if not root or before == now or project.containing(here) == here:
        return
    if (before / "catalog.sqlite").exists() and not (now / "catalog.sqlite").exists():
        raise UsageError(
            "paths.root",
            expected=f"the lake in {now}: a relative paths.root is relative to the project",
            found=f"none there, and one in {before}",
            todo=f"paths.root={before} goes on with it; set it in conf/project.yaml",
        )


def stream_names(config_dir: str | None) -> Iterator[str]:
    """The configured streams, ``shopify/orders``."""
    for folder in (project.found() / "conf", *([Path(config_dir).expanduser()] if config_dir else [])):
        for path in sorted((folder / "stream").glob("*/*.yaml")):
            yield f"{path.parent.name}/{path.stem}"


def redacted(value: Any, *, key: str = "", keys_tell: bool = True) -> Any:
    """A config without its secrets.

    Args:
        keys_tell: whether a key like ``password`` means a secret. Not in streams: there it is the name of a column.
    """
    if isinstance(value, dict):
        return {
            name: redacted(item, key=str(name), keys_tell=keys_tell and name != "streams")
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item, key=key, keys_tell=keys_tell) for item in value]
    if not isinstance(value, str):
        return value
    is_secret = keys_tell and (names_secret(key) or key in _MAY_HOLD_ONE) and not _ONLY_A_PATH.match(value)
    return HIDDEN if is_secret else without_secrets(value)


def _key(word: str) -> str:
    return word.lstrip("+~").split("=", 1)[0]


def _names_streams(word: str) -> bool:
    return _key(word) == "stream" and "=" in word


def _chosen(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The streams that words like ``+stream=[shopify/*,klaviyo/events]`` name, each once; all when there is no word.

    Raises:
        UsageError: a name or a pattern is that of no configured stream.
    """
    if not words:
        return list(names)
    chosen: dict[str, None] = {}
    for word in words:
        for part in word.split("=", 1)[1].strip("[]").split(","):
            wanted = part.strip()
            matching = [name for name in names if fnmatchcase(name, wanted)]
            if not matching:
                raise UsageError(
                    f"stream {wanted}",
                    expected="a stream of conf/stream",
                    found="none of this name",
                    todo=nearest(wanted, names) or f"Configured: {', '.join(names) or 'none'}",
                )
            chosen.update(dict.fromkeys(matching))
    return list(chosen)


def _keep_variables(config: Any) -> None:
    """Airbyte writes its variables as OmegaConf writes references: in a stream's path they are Airbyte's."""
    from omegaconf import OmegaConf

    streams: Any = OmegaConf.to_container(config.streams, resolve=False)
    for slug, stream in streams.items() if isinstance(streams, dict) else ():
        path = stream.get("path") if isinstance(stream, dict) else None
        if isinstance(path, str):
            config.streams[slug].path = _AIRBYTES.sub(r"\\\g<0>", path)


def _also_when_absent(word: str, names: Sequence[str]) -> str:
    """A stream's setting may be one that its file leaves out; whether there is such a setting is checked later."""
    slugs = tuple(f"streams.{name.replace('/', '__')}." for name in names)
    return f"++{word}" if word.startswith(slugs) else word


def _usage_error(error: Exception, call: Call) -> UsageError:
    from hydra.errors import OverrideParseException
    from yaml import MarkedYAMLError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UsageError):  # a resolver of ours said so
            return cause
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:  # its text repeats the line
        mark, problem = error.problem_mark, re.sub(r"'[^']*'", "…", error.problem or "")
        return UsageError(str(mark.name), expected="YAML", found=f"in line {mark.line + 1}: {problem}")
    match = re.search(r"Could not (?:override|append to config|delete).*?'([^']*)'", text)
    if match is not None:
        key = _key(match[1])
        return UsageError(
            key, expected="a known setting", found="none of this name", todo=nearest(key, _known_keys(call))
        )
    match = re.search(r"Could not find '([^']*)'|Could not load '([^']*)'", text)
    if match is not None:
        name = match[1] or match[2]
        group = name.split("/", 1)[0]
        folders = (project.found() / "conf", project.OURS / "conf")
        choices = [f"{group}/{path.stem}" for folder in folders for path in (folder / group).glob("*.yaml")]
        return UsageError(name, expected="a config of this name", found="none", todo=nearest(name, choices))
    if isinstance(error, OverrideParseException):  # its text repeats the value, which may be a secret
        key = _key(str(error.override))
        todo = "Quote the value, inside the shell's own quotes"
        return UsageError(key, expected="a value in Hydra's grammar", found="one that cannot be read", todo=todo)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return UsageError("settings", found=first)


def _known_keys(call: Call) -> list[str]:
    from omegaconf import OmegaConf

    streams = tuple(word for word in call.overrides if _key(word) == "stream")
    plain = Call(command=call.command, arguments=(), overrides=streams, config_dir=call.config_dir, show_config=False)
    found: list[str] = []

    def walk(value: Any, at: str) -> None:
        for name, item in value.items() if isinstance(value, dict) else ():
            path = f"{at}.{name}" if at else str(name)
            found.append(path)
            if not path.endswith((".fields", ".descriptions")):
                walk(item, path)

    try:
        config = compose(plain)
    except UsageError:  # of a stream, and it is not what this is about
        config = compose(plain, ())
    walk(OmegaConf.to_container(config), "")
    return found


def _hydra_text(text: str) -> str:
    """``text`` as a quoted value of Hydra's grammar, whatever a folder's name has in it."""
    escaped = re.sub(r"(\\*)'", lambda found: f"{found[1]}{found[1]}\\'", text)
    return f"'{escaped}'"


def _absolute(*parts: str) -> str:
    return str(project.anchored(Path(*parts)))


def _service(root: str, name: str) -> Any:
    """What ``services up`` wrote down; None when it never ran here."""
    path = project.anchored(root) / "services" / "services.json"
    if not path.exists():
        return None
    state = json.loads(path.read_text(encoding="utf-8"))
    return f"http://127.0.0.1:{state['s3_port']}" if name == "s3_endpoint" else state[name]


def _environment(name: str, setting: str, env: str, otherwise: str) -> str:
    """A variable of the environment; in production one that is not set is no guess but an error."""
    value = os.environ.get(name)
    if value:
        return value
    if env == "prod":
        raise UsageError(
            setting,
            expected=f"the environment variable {name}, or the setting itself",
            found="neither",
            todo=f"env=prod guesses nothing: export {name}=…, or set {setting}=…",
        )
    return otherwise


def _file_url(*parts: str) -> str:
    return "file://" + quote(_absolute(*parts))
