"""Secrets stay where they are: in no output, log, error, file or command line, whatever goes wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import duckdb
import psutil
import pytest

from lakeray import wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.credentials import take_out
from lakeray.cli.main import main
from lakeray.cli.parse import parse
from lakeray.settings.values import Settings
from lakeray.values.errors import CatalogError, UsageError
from tests.realstack.stack import Stack
from tests.support.real.lake import PROJECT, Lake, plain_environment

SECRETS = {
    "S3_ACCESS_KEY_ID": "AKIDQ7leakedid",
    "S3_SECRET_ACCESS_KEY": "s3/K9+leaked${x}key'",
    "DUCKLAKE_DB_PASSWORD": "pg leaked 'pass\\word",
}
AROUND = {
    "S3_SESSION_TOKEN": "leaked/session=",
    "AWS_ACCESS_KEY_ID": "AKIDQ7other",
    "AWS_SECRET_ACCESS_KEY": "aws/leaked+key",
    "AWS_SESSION_TOKEN": "aws//leaked==",
    "PGPASSWORD": "libpq leaked",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=leaked",
    "DBT_ENV_SECRET_X": "leaked",
    "GITHUB_TOKEN": "leaked",
}
"""What else may be in the environment of a machine."""
IN_CATALOG = "catalogleakedpassword"
MARKS = ("leaked", "AKIDQ7")
"""What every secret here has in it: a part of one is a leak too."""
COMMANDS = ("feed", "status", "doctor", "plan")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a command said, and where."""

    code: int
    said: str


def told(*words: str, environment: Mapping[str, str]) -> Told:
    """Run a command line in this process."""
    out = io.StringIO()
    with (
        patch.dict(os.environ, plain_environment(**environment), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        code = main(list(words))
    return Told(code=code, said=out.getvalue())


def assert_nothing_leaked(text: str | bytes, where: str, *, marks: tuple[str, ...] = MARKS) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    for mark in marks:
        at = raw.find(mark.encode())
        assert at < 0, f"{mark} in {where}: …{raw[max(0, at - 150) : at + 60]!r}…"


def assert_no_file_leaks(root: Path, *, but: tuple[str, ...] = (), marks: tuple[str, ...] = MARKS) -> int:
    """Look into every file below `root`; says how many."""
    looked = 0
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name not in but:
            looked += 1
            assert_nothing_leaked(path.read_bytes(), str(path.relative_to(root)), marks=marks)
    return looked


def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture(scope="module")
def refusing_postgres() -> Iterator[int]:
    """A Postgres that asks for a password in clear, takes none, and repeats it in its error."""
    server = socket.create_server(("127.0.0.1", 0))

    def error(text: str) -> bytes:
        body = b"SFATAL\0VFATAL\0C28P01\0M" + text.encode() + b"\0\0"
        return b"E" + (len(body) + 4).to_bytes(4, "big") + body

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while True:
                size = int.from_bytes(client.recv(4), "big")
                message = client.recv(size - 4) if size else b""
                if message[:4] != (80877103).to_bytes(4, "big") and message[:4] != (80877104).to_bytes(4, "big"):
                    break
                client.sendall(b"N")  # no TLS here
            client.sendall(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
            password = client.recv(1000)[5:].split(b"\0", 1)[0].decode()
            client.sendall(error(f"refused: password={password!r}"))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture(scope="module")
def refusing_s3() -> Iterator[str]:
    """An S3 that refuses every request and repeats its authorization."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{self.headers}</Message></Error>".encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


PLACES = {
    "S3_RAW_URL": "s3://landing/raw",
    "DUCKLAKE_DATA_PATH": "s3://landing/lake/",
    "DUCKLAKE_DB_HOST": "127.0.0.1",
    "DUCKLAKE_DB_NAME": "ducklake",
    "DUCKLAKE_DB_USER": "ducklake",
}
"""What env=prod does not guess."""


def prod(tmp_path: Path, *, postgres: int, s3: str = "http://127.0.0.1:1") -> tuple[list[str], dict[str, str]]:
    """The words and the environment of env=prod on these servers."""
    environment = {**SECRETS, **PLACES, "S3_ENDPOINT": s3, "DUCKLAKE_DB_PORT": str(postgres)}
    return ["env=prod", f"paths.root={tmp_path}", "+stream=klaviyo/metrics"], environment


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreachable_catalog_tells_no_secret(tmp_path: Path, command: str, output: str) -> None:
    words, environment = prod(tmp_path, postgres=closed_port())
    ran = told(command, *words, f"output={output}", "telemetry=console", environment=environment)
    assert ran.code == 1 and "Postgres" in ran.said, ran.said
    assert_nothing_leaked(ran.said, "output")
    assert_no_file_leaks(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_refused_password_tells_no_secret(tmp_path: Path, command: str, refusing_postgres: int) -> None:
    words, environment = prod(tmp_path, postgres=refusing_postgres)
    ran = told(command, *words, environment=environment)
    assert ran.code == 1 and "refused" in ran.said, ran.said
    assert_nothing_leaked(ran.said, "output")


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_refusing_storage_tells_no_secret(tmp_path: Path, command: str, output: str, refusing_s3: str) -> None:
    environment = {**SECRETS, "S3_ENDPOINT": refusing_s3}
    words = ["storage=s3", f"paths.root={tmp_path}", "+stream=klaviyo/metrics", f"output={output}"]
    ran = told(command, *words, "telemetry=console", environment=environment)
    assert ran.code == 1, ran.said
    assert output == "text" or "SignatureDoesNotMatch" in ran.said
    assert_nothing_leaked(ran.said, "output")
    assert_no_file_leaks(tmp_path)


@pytest.mark.parametrize("env", ["local", "prod"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_shown_config_has_no_secret(tmp_path: Path, command: str, env: str) -> None:
    words, environment = prod(tmp_path, postgres=5432, s3=f"http://me:{IN_CATALOG}@s3.example:8333")
    words[0] = f"env={env}"
    endpoint = "telemetry.endpoint='https://otel.example/v1?api_key=leaked&team=blue'"
    column = "+streams.klaviyo__metrics.fields.accounts='STRUCT(password_reset_at TIMESTAMP, token VARCHAR)'"
    more = ("storage=s3", "telemetry=otlp", endpoint, column)
    environment = {**environment, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer leaked"}
    ran = told(command, *words, *more, "--cfg", "job", environment=environment)
    assert ran.code == 0 and "secret_access_key: '***'" in ran.said, ran.said
    assert "team=blue" in ran.said and "accounts: " in ran.said, ran.said
    assert_nothing_leaked(ran.said, "--cfg")


MISTAKES = (
    "storage.secret_acess_key=misleakedspelt",
    "storage.secret_access_key=broken{leaked",
    "storage.secret_access_key=[leaked,twice",
    "storage.secret_access_key.x=leaked",
    "storage.secret_access_key='${leaked}'",
    "lake.pasword=leaked",
    "lake.password=a=b leaked(",
    "lake='postgres:host=h password=leaked'",
    "lake.catalog='mysql:password=leaked'",
    "lake.catalog='postgres:host=127.0.0.1 port=1 leaked'",
    "lake.catalog='postgres:host=127.0.0.1 port=1 password=leaked connect_timeout=x'",
    "lake.catalog='postgres:postgresql://me:leaked@127.0.0.1:1/db'",
    "storage.endpoint_url='http://me:leaked@127.0.0.1:1'",
    "storage.url='ftp://me:leaked@host/raw'",
    "storage.url='s3://AKIDQ7:leaked@bucket/raw'",
    "storage.url='s3://AKIDQ7:lea/leaked+x@bucket/raw'",
    "storage.url='s3://bucket/raw?secret_access_key=leaked'",
    "lake.data_path='s3://AKIDQ7:leaked@bucket/lake/'",
    "storage.endpoint_url='https://me:le/leaked@s3.example'",
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_settings_repeats_no_secret(tmp_path: Path, mistake: str) -> None:
    words, environment = prod(tmp_path, postgres=closed_port())
    for output in ("text", "json"):
        ran = told("status", *words, f"output={output}", mistake, environment=environment)
        assert ran.code in (1, 2) and ran.said, ran
        shown = ran.said.replace(mistake.split("=", 1)[0], "").replace("'leaked' not found", "")
        assert_nothing_leaked(shown, "output")


@pytest.mark.parametrize("mistake", [word for word in MISTAKES if "bucket" in word or "s3.example" in word])
def test_credentials_in_an_address_are_refused_and_the_setting_is_named(tmp_path: Path, mistake: str) -> None:
    words, environment = prod(tmp_path, postgres=closed_port())
    ran = told("status", *words, "output=json", mistake, environment=environment)
    error = json.loads(ran.said.splitlines()[0])["error"]
    assert ran.code == 2 and error["about"] == mistake.split("=", 1)[0], ran.said
    assert error["expected"] == "an address without credentials"


def _config_dir(tmp_path: Path, catalog: str) -> list[str]:
    folder = tmp_path / "conf" / "lake"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"catalog: {catalog!r}\ndata_path: s3://landing/lake/\n", encoding="utf-8")
    return ["--config-dir", str(tmp_path / "conf"), "lake=mine"]


def _with_password_in_the_catalog(tmp_path: Path) -> tuple[list[str], Settings]:
    catalog = f"postgres:host=127.0.0.1 port={closed_port()} dbname=d user=u password={IN_CATALOG}"
    words = ["storage=s3", f"paths.root={tmp_path}/root", "+stream=klaviyo/metrics", *_config_dir(tmp_path, catalog)]
    with patch.dict(os.environ, plain_environment(**SECRETS), clear=True):
        return words, settings_of(parse(["status", *words]))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_in_the_catalogs_string_is_told_to_nobody(tmp_path: Path, command: str) -> None:
    words, _ = _with_password_in_the_catalog(tmp_path)
    ran = told(command, *words, environment=SECRETS)
    assert ran.code == 1 and "Postgres" in ran.said
    assert_nothing_leaked(ran.said, "output")
    assert_nothing_leaked(told(command, *words, "--cfg", "job", environment=SECRETS).said, "--cfg")


def test_the_password_leaves_the_catalogs_string_before_anyone_gets_it(
    tmp_path: Path, extension_directory: Path
) -> None:
    _, settings = _with_password_in_the_catalog(tmp_path)
    lake = wiring.backend(settings)
    assert [dict(secret.hidden) for secret in lake.secrets if secret.type == "postgres"] == [{"password": IN_CATALOG}]
    for read_only in (False, True):
        assert_nothing_leaked(lake.attach_statement(read_only=read_only), "ATTACH")
    environment = wiring.dbt_project(settings, lake=lake).environment
    assert environment["DBT_ENV_SECRET_LAKERAY_CATALOG_PASSWORD"] == IN_CATALOG
    for name in environment:
        if not name.startswith("DBT_ENV_SECRET_"):
            assert_nothing_leaked(environment[name], name)


def test_duckdbs_own_error_tells_no_password(tmp_path: Path, extension_directory: Path) -> None:
    from lakeray.adapters.ducklake.backends.connection import connect

    _, settings = _with_password_in_the_catalog(tmp_path)
    (tmp_path / "root").mkdir(exist_ok=True)
    (tmp_path / "root" / "extensions").symlink_to(extension_directory)
    with patch.dict(os.environ), pytest.raises(CatalogError) as failed:
        connect(wiring.backend(settings), read_only=True)
    assert_nothing_leaked(str(failed.value), "error")


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    _, settings = _with_password_in_the_catalog(tmp_path)
    lake = wiring.backend(settings)
    for thing in (
        settings,
        lake,
        lake.place,
        lake.secrets,
        lake.queries(),
        lake.session(duckdb.connect()),
        wiring.lease(settings, lake=lake),
        wiring.s3_access(settings),
        wiring.dbt_project(settings, lake=lake),
        wiring.batch_validator(settings),
    ):
        assert_nothing_leaked(repr(thing), type(thing).__name__)


def test_every_error_is_redacted() -> None:
    error = CatalogError("at password=x1", expected="password=x1", found="password=x1", todo="password=x1")
    assert "x1" not in f"{error} {error!r} {error.as_dict()} {error.args}"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A process that ended, and all command lines that were seen of it and what it started."""

    code: int
    said: bytes
    commands: set[str]
    environments: Mapping[str, bytes]
    """What ``/proc/PID/environ`` showed of each child, by its command line; not of the process itself."""


def watched(*words: str, environment: Mapping[str, str], deadline_s: float = 240.0) -> Watched:
    """Run lakeray as a process and look at its and its children's command lines and environments all the while."""
    commands: set[str] = set()
    environments: dict[str, bytes] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "lakeray", *words],
        cwd=PROJECT,
        env=plain_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        said: list[bytes] = []
        assert process.stdout is not None
        reader = threading.Thread(target=lambda pipe: said.append(pipe.read()), args=(process.stdout,))
        reader.start()
        ends = time.monotonic() + deadline_s
        seen: set[int] = set()
        while process.poll() is None:
            if time.monotonic() > ends:
                process.kill()
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(process.pid)
                commands.add(" ".join(root.cmdline()))
                for child in root.children(recursive=True):
                    if child.pid not in seen and look_at(child, root, commands, environments):
                        seen.add(child.pid)
            time.sleep(0.02)
        reader.join()
    return Watched(code=process.returncode, said=said[0], commands=commands, environments=environments)


def look_at(child: psutil.Process, root: psutil.Process, commands: set[str], environments: dict[str, bytes]) -> bool:
    """Keep what a child shows of itself; False when it must be looked at again: it is not a program of its own yet."""
    with contextlib.suppress(psutil.Error, OSError):
        command = " ".join(child.cmdline())
        shown = Path(f"/proc/{child.pid}/environ").read_bytes()
        if command == " ".join(root.cmdline()):
            return False  # forked, and still with the memory of its parent
        commands.add(command)
        environments[f"{child.pid}: {command}"] = shown
        return bool(shown)
    return False


def assert_no_child_shows(ran: Watched, *, marks: tuple[str, ...] = MARKS) -> None:
    for command, shown in ran.environments.items():
        assert_nothing_leaked(shown, f"the environment of {command}", marks=marks)
    # Postgres' workers and Ray's write what they do where their environment stood; those of other programs show it.
    assert not ran.environments or any(b"PATH=" in shown for shown in ran.environments.values())


def test_a_feed_with_secrets_around_it_writes_them_nowhere(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    lake.ok("sample", "+stream=klaviyo/lists", "sample.days=1", "sample.files_per_day=2", "sample.rows_per_file=3")
    environment = {**SECRETS, **AROUND}
    words = [*lake.settings, "+stream=klaviyo/lists", "telemetry=console"]
    fed = watched("feed", *words, environment=environment)
    assert fed.code == 0, fed.said
    assert_nothing_leaked(fed.said, "output")
    assert fed.commands
    assert_nothing_leaked(" | ".join(fed.commands), "command lines")
    assert assert_no_file_leaks(lake.root) > 10
    assert (lake.root / "dbt" / "logs" / "dbt.log").exists()


def test_no_process_of_ray_is_shown_a_secret(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    lake.ok("sample", "+stream=klaviyo/lists", "sample.days=1", "sample.files_per_day=2", "sample.rows_per_file=3")
    words = [*lake.settings, "+stream=klaviyo/lists", "feed.executor=ray", "ray.num_cpus=1", "ray.environment=[MINE]"]
    fed = watched("feed", *words, environment={**SECRETS, **AROUND, "MINE": "handed on"})
    assert fed.code == 0, fed.said
    workers = [shown for command, shown in fed.environments.items() if "default_worker" in command]
    assert workers and any("raylet" in command for command in fed.environments), list(fed.environments)
    assert any(b"MINE=handed on" in shown for shown in workers)
    assert_no_child_shows(fed)


def test_the_services_are_shown_no_secret() -> None:
    root = Path(tempfile.mkdtemp(prefix="lrs-"))  # short: the path of a Unix socket may not exceed 107 bytes
    environment = {**SECRETS, **AROUND}
    words = ("env=dev", f"paths.root={root}")
    try:
        up = watched("services", "up", *words, environment=environment)
        assert up.code == 0, up.said
        assert_no_child_shows(up)
        servers = [
            one for one in psutil.process_iter(["cmdline"]) if any(str(root) in w for w in one.info["cmdline"] or ())
        ]
        assert {Path(one.info["cmdline"][0]).name for one in servers} == {"weed", "postgres"}
        for server in servers:
            shown = Path(f"/proc/{server.pid}/environ").read_bytes()
            assert_nothing_leaked(shown, f"the environment of {server.info['cmdline']}")
    finally:
        assert watched("services", "down", *words, environment=environment).code == 0
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("env", ["local", "prod"])
def test_what_the_process_starts_later_inherits_no_secret_that_was_read(tmp_path: Path, env: str) -> None:
    words, environment = prod(tmp_path, postgres=closed_port())
    words[0] = f"env={env}"
    asked = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    read = {**environment, **{name: AROUND[name] for name in ("S3_SESSION_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS")}}
    if env == "prod":
        read |= {name: value for name, value in AROUND.items() if name.startswith(("AWS_", "PG"))}
    with patch.dict(os.environ, plain_environment(**read), clear=True), contextlib.redirect_stdout(io.StringIO()):
        main(["status", *words])
        shown = subprocess.run(asked, capture_output=True, check=True).stdout
    assert b"PATH" in shown
    assert_nothing_leaked(shown, "the environment of a child")


FILES = {
    "S3_ACCESS_KEY_ID": lambda made: made.storage.access_key_id,
    "S3_SECRET_ACCESS_KEY": lambda made: made.storage.secret_access_key,
    "S3_SESSION_TOKEN": lambda made: made.storage.session_token,
    "DUCKLAKE_DB_PASSWORD": lambda made: made.lake.password,
}


def _settings(environment: Mapping[str, str]) -> Settings:
    with patch.dict(os.environ, plain_environment(**PLACES, **environment), clear=True):
        return settings_of(parse(["feed", "env=prod", "+stream=klaviyo/lists"]))


@pytest.mark.parametrize("name", FILES)
def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "secret"
    path.write_text(" in a file ${x}\n", encoding="utf-8")
    assert FILES[name](_settings({f"{name}_FILE": str(path)})).reveal() == " in a file ${x}"


@pytest.mark.parametrize("name", FILES)
def test_the_environment_goes_before_the_file(tmp_path: Path, name: str) -> None:
    made = _settings({f"{name}_FILE": str(tmp_path / "none"), name: "from the environment"})
    assert FILES[name](made).reveal() == "from the environment"


@pytest.mark.parametrize("name", FILES)
def test_without_either_there_is_no_secret(name: str) -> None:
    assert FILES[name](_settings({})) is None
    assert FILES[name](_settings({name: "", f"{name}_FILE": ""})) is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe leaked"], ids=["no file", "empty", "blank", "binary"])
@pytest.mark.parametrize("name", FILES)
def test_a_secrets_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as wrong:
        _settings({f"{name}_FILE": str(path)})
    assert wrong.value.about == f"{name}_FILE"
    assert str(path) in wrong.value.found
    assert_nothing_leaked(str(wrong.value), "error")


def test_the_keys_of_aws_travel_in_the_settings_and_not_in_the_environment(tmp_path: Path) -> None:
    aws = {name: value for name, value in AROUND.items() if name.startswith("AWS_")}
    with patch.dict(os.environ, plain_environment(**PLACES, **aws, S3_ACCESS_KEY_ID="half of a pair"), clear=True):
        settings = settings_of(parse(["feed", "env=prod", "+stream=klaviyo/lists"]))
        take_out(settings)
        assert not [name for name in os.environ if name.startswith("AWS_")]
        worker: Settings = pickle.loads(pickle.dumps(settings))
        keys = wiring.s3_keys(worker)
    assert [keys.access_key_id, keys.secret_access_key, keys.session_token] == list(aws.values())


def test_a_session_token_belongs_to_its_own_keys_alone() -> None:
    mine = {"S3_ACCESS_KEY_ID": "mine", "S3_SECRET_ACCESS_KEY": "mine too"}
    settings = _settings({**mine, **AROUND, "S3_SESSION_TOKEN": ""})
    assert settings.storage.access_key_id is not None and settings.storage.access_key_id.reveal() == "mine"
    assert settings.storage.session_token is None


def test_libpqs_password_comes_last(tmp_path: Path) -> None:
    keys = {"S3_ACCESS_KEY_ID": "x", "S3_SECRET_ACCESS_KEY": "y"}
    own = "lake.catalog='postgres:host=h password=own'"
    for environment, words, password in (
        ({}, [], None),
        ({"PGPASSWORD": "libpq's"}, [], "libpq's"),
        ({"PGPASSWORD": "libpq's"}, [own], "own"),
        ({"PGPASSWORD": "libpq's", "DUCKLAKE_DB_PASSWORD": "lakeray's"}, [own], "lakeray's"),
    ):
        with patch.dict(os.environ, plain_environment(**PLACES, **keys, **environment), clear=True):
            settings = settings_of(
                parse(["feed", "env=prod", f"paths.root={tmp_path}", "+stream=klaviyo/lists", *words])
            )
            take_out(settings)
            assert "PGPASSWORD" not in os.environ
            found = [secret for secret in wiring.backend(settings).secrets if secret.type == "postgres"]
        assert [secret.hidden.get("password") for secret in found] == ([] if password is None else [password])


def test_a_profile_that_is_not_there_is_a_wrong_setting() -> None:
    with patch.dict(os.environ, plain_environment(**PLACES, AWS_PROFILE="none of this name"), clear=True):
        settings = settings_of(parse(["feed", "env=prod", "+stream=klaviyo/lists"]))
        with pytest.raises(UsageError, match="none of this name"):
            wiring.s3_keys(settings)


@pytest.mark.parametrize("name", ["a secret", 'it\'s ${odd} $x \\ "so"'])
def test_a_secret_is_taken_as_it_is(name: str) -> None:
    assert FILES["S3_SECRET_ACCESS_KEY"](_settings({"S3_SECRET_ACCESS_KEY": name})).reveal() == name


@pytest.mark.long
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_on_the_real_servers_no_secret_leaves_its_place(executor: str, extension_directory: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="lrs-"))  # short: the path of a Unix socket may not exceed 107 bytes
    (root / "extensions").symlink_to(extension_directory)
    stack = Stack.up(root)
    try:
        marks = (stack.state.s3_secret_access_key, stack.state.s3_access_key_id, stack.state.postgres_password)
        words = ["env=prod", f"paths.root={root}", "+stream=klaviyo/lists", "output=json"]
        environment = PLACES | {
            "S3_ENDPOINT": stack.state.s3_endpoint,
            "S3_ACCESS_KEY_ID": stack.state.s3_access_key_id,
            "S3_SECRET_ACCESS_KEY": stack.state.s3_secret_access_key,
            "DUCKLAKE_DB_HOST": "127.0.0.1",
            "DUCKLAKE_DB_PORT": str(stack.state.postgres_port),
            "DUCKLAKE_DB_PASSWORD": stack.state.postgres_password,
        }
        sample = ("sample.days=1", "sample.files_per_day=2", "sample.rows_per_file=3")
        for command in (
            ("sample", *sample),
            ("feed", "telemetry=console", f"feed.executor={executor}"),
            ("status", "telemetry=console"),
            ("doctor",),
            ("plan", "--cfg", "job"),
            ("feed", "lake.password=wrong"),
            ("feed", "storage.secret_access_key=wrong"),
        ):
            ran = watched(*command, *words, environment=environment)
            assert (ran.code == 0) == ("wrong" not in command[-1]), ran.said
            assert_nothing_leaked(ran.said, f"output of {command}", marks=marks)
            assert_nothing_leaked(" | ".join(ran.commands), f"command lines of {command}", marks=marks)
            assert_no_child_shows(ran, marks=marks)
            assert ran.environments or command[0] != "feed" or ran.code, "dbt starts a process of its own"
        services = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
        assert_nothing_leaked(" | ".join(services), "the servers' command lines", marks=marks)
        own = ("services.json", "s3-identities.json")
        assert assert_no_file_leaks(root, but=own, marks=marks) > 20
        assert {oct((root / "services" / name).stat().st_mode & 0o777) for name in own} == {"0o600"}
    finally:
        stack.down()
        shutil.rmtree(root, ignore_errors=True)
