"""What ``--help`` teaches. The defaults that it names are the settings', asked for when they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Topic(NamedTuple):
    """What there is to say of one command."""

    summary: str
    body: str
    settings: tuple[tuple[str, str], ...] = ()
    """The settings that people change with it, and what each does."""


COMMANDS: dict[str, Topic] = {
    "feed": Topic(
        "take new files in, exactly once, to the end",
        """lakeray feed                                       all configured streams
lakeray feed shopify/orders                        one stream, or several: shopify/orders klaviyo/events
lakeray feed 'shopify/*'                           all of a source
lakeray feed +stream=[shopify/orders,klaviyo/*]    the same as a setting
lakeray feed feed.watch=true feed.poll_s=60        keep polling

What happens: discover, plan, validate, commit, transform with dbt, advance, clean. Run it again whenever you like,
after a crash too: nothing is taken in twice, nothing is lost.""",
        (
            ("feed.executor", "auto | ray | inline: where footers are read"),
            ("feed.enrich", "build the enriched models behind the streams"),
            ("feed.lookback_days", "how far behind the cursor late files are looked for, at least"),
            ("feed.max_batches", "stop a stream after so many batches"),
            ("feed.prefetch_batches", "validated batches that may wait for the committer"),
            ("batch.target_bytes", "compressed size of a batch, at most"),
            ("batch.max_files", "files of a batch, at most"),
            ("batch.memory_bytes", "what the rows of a batch may use in one process"),
            ("retention.days", "what the clean-up at the end leaves behind the cursor"),
        ),
    ),
    "plan": Topic(
        "what a feed would do; writes nothing",
        "lakeray plan shopify/orders\n\nBatches, bytes, projected memory, oversize and late files, rejected "
        "files, estimated time.",
    ),
    "check": Topic(
        "all that can be known before anything is written",
        """lakeray check
lakeray check shopify/orders

Configs, generated files, dbt's project and models, prefixes, and the newest file of each stream beside its contract and
the lake's tables. Reads only. Exits 1 when something is found, 2 when the settings cannot be read.""",
    ),
    "status": Topic("where every stream stands", "lakeray status [output=json]\n\nWorks while a feed runs."),
    "runs": Topic(
        "the last runs that did something, or failed",
        "lakeray runs [output=json]\n\nA feed that finds nothing new writes nothing; the same failure is kept once.",
    ),
    "why": Topic(
        "everything known about one raw file",
        "lakeray why shopify/orders/year=2026/month=01/day=02/part_0.parquet\n\nThe path may be a key, or an address "
        "under storage.url.",
    ),
    "sql": Topic(
        "ask the lake: reads, and nothing else",
        """lakeray sql "SELECT currency, sum(total) FROM fct_sales GROUP BY 1"
lakeray sql "FROM staging.stg_shopify__orders" --format csv > orders.csv
lakeray sql                                        a shell; SHOW TABLES; lists what there is

--format table | json | csv | parquet. Works while a feed runs. Results are printed as they come, whatever their size;
Ctrl-C ends a question at once. A statement that writes is refused.""",
    ),
    "connect": Topic(
        "the words that read this lake from elsewhere",
        """lakeray connect duckdb            SQL for DuckDB's own shell
lakeray connect python
lakeray connect jdbc              Java, and whatever takes a JDBC driver
lakeray connect dbeaver

Secrets are named by their variables of the environment, never printed.""",
    ),
    "reconcile": Topic(
        "landing DDL to tables: create, add columns", "lakeray reconcile\n\nRefuses to narrow a column."
    ),
    "enrich": Topic(
        "build the enriched models whose inputs or code changed",
        """lakeray enrich                                what is behind; a feed does so at its end
lakeray enrich --select fct_sales dim_customers these, whatever they have seen
lakeray enrich --full-refresh                  whole tables; with --select, of these

An enriched model is any dbt model with the tag `enriched`: those below dbt/models/enriched have it. A new one is built,
and one whose text, config or macros have changed is built whole.""",
        (("feed.enrich", "false leaves the enriched models to others"),),
    ),
    "clean": Topic(
        "retention, through the catalog",
        "lakeray clean clean.dry_run=true          what would leave landing; writes nothing",
        (
            ("retention.days", "raw files and landing rows stay so long behind the cursor's day"),
            ("retention.snapshot_days", "DuckLake snapshots stay so long"),
            ("retention.raw", "delete | keep: what becomes of raw files behind the retention"),
            ("retention.delete_existing", "delete also what was there before the first feed"),
        ),
    ),
    "replay": Topic(
        "take a range of days in again, without doubling",
        "lakeray replay shopify/orders replay.from=2026-01-01 replay.to=2026-01-31\n\nFiles that were too late "
        "are taken in; rows that are registered are merged again.",
    ),
    "rebuild": Topic(
        "the processed table anew: new key, new cursor, new type; dry run first",
        """lakeray rebuild shopify/orders                        what would become of the rows; writes nothing
lakeray rebuild shopify/orders rebuild.dry_run=false  do it, then feed the stream

After a change of primary_key, cursor_field or of a type in fields, and `lakeray generate`. The table is made of its own
rows and of those in landing, in one DuckLake snapshot; landing's files are registered anew where a type changed. Run it
again after a crash.""",
        (
            ("rebuild.dry_run", "only tell; false does it"),
            ("rebuild.allow_loss", "values that do not fit become NULL, rows without the new key go"),
        ),
    ),
    "quarantine": Topic(
        "the record of rejected files",
        "lakeray quarantine\nlakeray quarantine retry PATH…     the next feed looks again\nlakeray quarantine ignore "
        "PATH…    never look again, until the file changes",
    ),
    "doctor": Topic(
        "do storage, ledger and catalog agree?",
        "lakeray doctor                                      reads only; exits 1 when something is wrong\n"
        "lakeray doctor repair=all doctor.dry_run=true       what would be mended\n"
        "lakeray doctor repair=registered_but_gone           mend one kind of finding",
    ),
    "lease": Topic(
        "take the lease from a holder that does not answer",
        """lakeray lease break

Waits as long as three heartbeats of the holder. When one comes, the command refuses and exits 3; when none does, it
takes the lease and a new fencing token: what the holder does later is refused. In Postgres a holder that is stopped, or
whose host is gone, loses its lease by itself.""",
        (
            ("lake.lease_heartbeat_s", "between two heartbeats of the holder"),
            ("lake.lease_timeout_s", "after so long without one, Postgres ends its session, and the lease is free"),
        ),
    ),
    "init": Topic(
        "a project of one's own in a folder",
        "lakeray init                          here; a file that is there is kept\n"
        "lakeray init shop --template shop     in a folder, with nine streams of a shop and two enriched models\n\n"
        "Needs no project. Commands find the project from each of its folders, by conf/project.yaml.",
    ),
    "generate": Topic(
        "landing DDL and models from the stream configs",
        "lakeray generate          write what drifted\n"
        "lakeray generate check    only tell; exits 1 when something drifted",
    ),
    "new-stream": Topic(
        "a stream's config, DDL and model, from files or a schema",
        """lakeray new-stream shop/orders --from-files                    types, key and cursor from what lies there
lakeray new-stream shop/orders --from-schema orders.json       from a JSON schema, or Airbyte's catalog

--key NAME,NAME and --cursor NAME go before what is proposed; --path says where the files lie, in Airbyte's variables.
Shows the evidence, ten rows and a diff. Run it again whenever you like: what you edited stays, and the difference is
shown.""",
    ),
    "drop-stream": Topic(
        "a stream's tables and files go, its raw files stay; dry run first",
        """lakeray drop-stream shop/orders           what would go; writes nothing
lakeray drop-stream shop/orders --yes     let it go: tables, bookkeeping, config, generated files

Raw files are never deleted. A model that you took over stays. Run it again after a crash.""",
    ),
    "streams": Topic("the configured streams", "lakeray streams [output=json]"),
    "services": Topic(
        "real SeaweedFS and Postgres on this machine, for env=dev",
        "lakeray services up env=dev\nlakeray services status env=dev\nlakeray services down env=dev\n\nData, logs "
        "and credentials are under paths.root.",
        (
            ("services.s3_port", "SeaweedFS's S3; 0 takes a free port, once"),
            ("services.postgres_port", "Postgres; 0 takes a free port, once"),
        ),
    ),
    "kuberay": Topic(
        "the same run as a RayJob: written down, sent, waited for",
        """lakeray kuberay render +stream=shopify/orders replay.from=2026-01-01 replay.to=2026-01-31 > job.yaml
lakeray kuberay submit shopify/orders kuberay.max_workers=8
lakeray kuberay follow
lakeray kuberay cancel

A feed, or a replay where replay.from is set. All settings but those of kuberay are passed on to it. The size of its
pods follows from batch.memory_bytes, batch.reserved_bytes and kuberay.cpus.""",
        (
            ("kuberay.name", "one job of a name runs at a time"),
            ("kuberay.max_workers", "to which the autoscaler goes"),
            ("kuberay.cpus", "CPUs of each pod"),
            ("kuberay.retries", "how often a job that failed begins anew"),
            ("kuberay.deadline_s", "how long it may take"),
            ("batch.memory_bytes", "what the rows of a batch may use in one process"),
        ),
    ),
    "sample": Topic(
        "write realistic Airbyte-shaped Parquet",
        "lakeray sample sample.days=30\n\nThe same settings write the same files. A file that is there is kept.",
        (
            ("sample.days", "days of syncs"),
            ("sample.files_per_day", "files per stream and day"),
            ("sample.rows_per_file", "rows of the largest streams; small ones get fewer"),
            ("sample.seed", "another seed, another shop"),
        ),
    ),
    "demo": Topic("sample, feed, enrich and status in one go", "lakeray demo\n\nKill it half-way and run it again."),
}


GROUPS: dict[str, tuple[str, ...]] = {
    "Daily": ("feed", "plan", "status", "runs", "sql", "why", "enrich"),
    "Set-up": (
        *("init", "new-stream", "streams", "check", "generate", "reconcile"),
        *("connect", "services", "kuberay", "sample", "demo"),
    ),
    "Upkeep": ("clean", "replay", "rebuild", "quarantine", "doctor", "lease", "drop-stream"),
}
"""Which command is for when; each is in one group."""


def overview() -> str:
    """``lakeray --help``."""
    width = max(len(name) for name in COMMANDS)
    lines: list[str] = []
    for group, names in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:<{width}}  {COMMANDS[name].summary}" for name in names)]
    return "\n".join(
        [
            "lakeray takes the Parquet files that Airbyte keeps landing on object storage into DuckLake tables,",
            "merged by dbt, exactly once, in bounded memory.",
            "",
            "usage: lakeray COMMAND [source/stream …] [key=value …]",
            *lines,
            "",
            "Commands work in each folder of a project (conf/project.yaml). Streams: shopify/orders, 'shopify/*'.",
            "Settings are Hydra overrides: env=local|dev|prod, paths.root=…, storage.url=…, output=json.",
            "`lakeray COMMAND --help` says more, `lakeray COMMAND --cfg job` prints the settings in effect.",
            "`lakeray --version` prints the version.",
            "Exit codes: 0 done · 1 a stream failed · 2 wrong usage · 3 another committer is at work · 130 interrupted",
        ]
    )


def command_help(name: str, *, default_of: Callable[[str], str]) -> str:
    """``lakeray COMMAND --help``.

    Args:
        default_of: what the config says of a setting, ``batch.max_files``; asked of the command's settings alone.
    """
    topic = COMMANDS[name]
    text = f"lakeray {name}: {topic.summary}\n\n{topic.body}"
    words = [(f"{key}={default_of(key)}", meaning) for key, meaning in topic.settings]
    width = max((len(word) for word, _ in words), default=0)
    lines = [f"{word:<{width}}  {meaning}" for word, meaning in words]
    return "\n".join([text, "", "Settings, with their defaults:", *lines] if lines else [text])
