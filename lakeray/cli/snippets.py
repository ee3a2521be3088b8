"""What ``connect`` prints: the words that read this lake from elsewhere. Secrets are named, never shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lakeray.ports.queries import LakeAddress, S3Address

_KEYS = {"KEY_ID": "S3_ACCESS_KEY_ID", "SECRET": "S3_SECRET_ACCESS_KEY"}
_TOKEN = {"SESSION_TOKEN": "S3_SESSION_TOKEN"}
_PASSWORD = "PGPASSWORD is set: the catalog's password"
_READ = "Read-only; feeds may run meanwhile"
_ASK = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'lakehouse' ORDER BY ALL"


def duckdb_cli(lake: LakeAddress) -> str:
    """SQL for DuckDB's own shell, which knows ``getenv``."""
    secret = [] if lake.s3 is None else [_secret(lake.s3, {name: f"getenv('{of}')" for name, of in keys(lake.s3)})]
    lines = [*_exported(lake, "--"), *(f"{line};" for line in [*_before(lake), *secret, lake.attach, "USE lakehouse"])]
    return "\n".join([*lines, f"{_ASK};"])


def python(lake: LakeAddress) -> str:
    """A Python script."""
    lines = [*_exported(lake, "#"), *(["import os", ""] if lake.s3 is not None else []), "import duckdb", ""]
    lines += ["lake = duckdb.connect()"]
    lines += [f"lake.execute({statement!r})" for statement in _before(lake)]
    if lake.s3 is not None:
        quoted = """return "'" + os.environ[name].replace("'", "''") + "'\""""
        lines += ["", "", "def text(name):", f"    {quoted}", "", ""]
        lines += [f"lake.execute({_joined(lake.s3, repr)})"]
    lines += [f"lake.execute({lake.attach!r})", 'lake.execute("USE lakehouse")', f'print(lake.sql("{_ASK}"))']
    return "\n".join(lines)


def jdbc(lake: LakeAddress) -> str:
    """Java, with org.duckdb:duckdb_jdbc."""
    lines = [*_exported(lake, "//"), 'Connection lake = DriverManager.getConnection("jdbc:duckdb:");']
    lines += ["try (Statement run = lake.createStatement()) {"]
    statements = [_java(statement) for statement in _before(lake)]
    if lake.s3 is not None:
        statements.append(_joined(lake.s3, _java))
    statements += [_java(lake.attach), _java("USE lakehouse")]
    lines += [f"    run.execute({statement});" for statement in statements]
    lines += ["}"]
    if lake.s3 is not None:
        quoted = 'return "\'" + System.getenv(name).replace("\'", "\'\'") + "\'";'
        lines += ["", f"static String text(String name) {{ {quoted} }}"]
    return "\n".join(lines)


def dbeaver(lake: LakeAddress) -> str:
    """What to set in DBeaver, whose DuckDB has no way to a variable but AWS's own chain."""
    lines = ["# New connection > DuckDB, JDBC URL: jdbc:duckdb:"]
    lines += ["# Connection settings > Initialization > Bootstrap queries, one each:"]
    statements = _before(lake)
    if lake.s3 is not None:
        lines.insert(
            0, "# Start DBeaver where AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set: they are the storage's"
        )
        statements += ["INSTALL aws", "LOAD aws", _secret(lake.s3, {"PROVIDER": "credential_chain", "CHAIN": "'env'"})]
    if lake.asks_password:
        lines.insert(0, f"# Start DBeaver where {_PASSWORD}")
    return "\n".join([*lines, *(f"{line};" for line in [*statements, lake.attach, "USE lakehouse"])])


KINDS: Mapping[str, Callable[[LakeAddress], str]] = {
    "duckdb": duckdb_cli,
    "python": python,
    "jdbc": jdbc,
    "dbeaver": dbeaver,
}
"""By the name that the command has for them."""


def keys(s3: S3Address) -> list[tuple[str, str]]:
    """Parameters of DuckDB's secret, and the variables of the environment that hold them."""
    return list({**_KEYS, **(_TOKEN if s3.has_token else {})}.items())


def _exported(lake: LakeAddress, comment: str) -> list[str]:
    """What must be in the environment."""
    lines = [f"{comment} DuckDB {lake.duckdb_version}, or 1.5.2 and newer without extension_directory. {_READ}"]
    if lake.asks_password:
        lines.append(f"{comment} Run it where {_PASSWORD}")
    if lake.s3 is not None:
        lines.append(f"{comment} Run it where these are set: {', '.join(of for _, of in keys(lake.s3))}")
    return lines


def _before(lake: LakeAddress) -> list[str]:
    """What comes before any secret. INSTALL asks no network for what is in the folder."""
    return [
        f"SET extension_directory = {_quoted(lake.extension_directory)}",
        *(f"{word} {name}" for name in lake.extensions for word in ("INSTALL", "LOAD")),
        *(f"SET {name} = '{value}'" for name, value in lake.settings.items()),
    ]


def _secret(s3: S3Address, named: Mapping[str, str]) -> str:
    shown = {name: _quoted(value) for name, value in s3.shown.items()}
    parameters = ", ".join(f"{name} {value}" for name, value in {**shown, **named}.items())
    return f"CREATE OR REPLACE SECRET lake_s3 (TYPE s3, SCOPE 's3://', {parameters})"


def _joined(s3: S3Address, literal: Callable[[str], str]) -> str:
    """The secret's statement as an expression of a language, in which ``text`` quotes a variable's value.

    Args:
        literal: a text as the language writes it.
    """
    parts = _secret(s3, {name: f"\0{of}\0" for name, of in keys(s3)}).split("\0")
    return " + ".join(f"text({literal(part)})" if at % 2 else literal(part) for at, part in enumerate(parts))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _java(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
