"""What ``--help`` teaches."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "feed": (
        "take new files in, exactly once, to the end",
        """lakeray feed                                       all configured streams
lakeray feed +stream=shopify/orders                one stream
lakeray feed +stream=[shopify/orders,klaviyo/events]
lakeray feed feed.watch=true feed.poll_s=60        keep polling

What happens: discover, plan, validate, commit, transform with dbt, advance, clean. Run it again whenever you like,
after a crash too: nothing is taken in twice, nothing is lost.

feed.executor=auto      auto | ray | inline: where footers are read
feed.lookback_days=3    how far behind the cursor late files are looked for, at least
feed.max_batches=null   stop a stream after so many batches
feed.prefetch_batches=2 validated batches that may wait for the committer
batch.target_bytes=256MB, batch.max_files=1000, batch.memory_bytes=4GiB
retention.days=7        what the clean-up at the end leaves behind the cursor""",
    ),
    "plan": (
        "what a feed would do; writes nothing",
        "lakeray plan +stream=shopify/orders\n\nBatches, bytes, projected memory, oversize and late files, rejected "
        "files, estimated time.",
    ),
    "status": ("where every stream stands", "lakeray status [output=json]\n\nWorks while a feed runs."),
    "why": (
        "everything known about one raw file",
        "lakeray why shopify/orders/year=2026/month=01/day=02/part_0.parquet\n\nThe path may be a key, or an address "
        "under storage.url.",
    ),
    "reconcile": ("landing DDL to tables: create, add columns", "lakeray reconcile\n\nRefuses to narrow a column."),
    "enrich": ("build the enriched models whose inputs changed", "lakeray enrich"),
    "clean": (
        "retention, through the catalog",
        "lakeray clean clean.dry_run=true\nlakeray clean retention.days=7 retention.snapshot_days=1",
    ),
    "replay": (
        "take a range of days in again, without doubling",
        "lakeray replay +stream=shopify/orders replay.from=2026-01-01 replay.to=2026-01-31\n\nFiles that were too late "
        "are taken in; rows that are registered are merged again.",
    ),
    "quarantine": (
        "the record of rejected files",
        "lakeray quarantine\nlakeray quarantine retry PATH…     the next feed looks again\nlakeray quarantine ignore "
        "PATH…    never look again, until the file changes",
    ),
    "doctor": (
        "do storage, ledger and catalog agree?",
        "lakeray doctor                                      reads only; exits 1 when something is wrong\n"
        "lakeray doctor repair=all doctor.dry_run=true       what would be mended\n"
        "lakeray doctor repair=registered_but_gone           mend one kind of finding",
    ),
    "generate": (
        "landing DDL and models from the stream configs",
        "lakeray generate          write what drifted\n"
        "lakeray generate check    only tell; exits 1 when something drifted",
    ),
    "services": (
        "real SeaweedFS and Postgres on this machine, for env=dev",
        "lakeray services up env=dev\nlakeray services status env=dev\nlakeray services down env=dev\n\nData, logs "
        "and credentials are under paths.root; services.s3_port and services.postgres_port choose ports, 0 a free one.",
    ),
    "sample": (
        "write realistic Airbyte-shaped Parquet",
        "lakeray sample sample.days=3 sample.files_per_day=4 sample.rows_per_file=200 sample.seed=42\n\n"
        "The same settings write the same files. A file that is there is kept.",
    ),
    "demo": ("sample, feed, enrich and status in one go", "lakeray demo\n\nKill it half-way and run it again."),
}


def overview() -> str:
    """``lakeray --help``."""
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {text}" for name, (text, _) in COMMANDS.items()]
    return "\n".join(
        [
            "lakeray takes the Parquet files that Airbyte keeps landing on object storage into DuckLake tables,",
            "merged by dbt, exactly once, in bounded memory.",
            "",
            "usage: lakeray COMMAND [key=value …]",
            "",
            *lines,
            "",
            "Settings are Hydra overrides: env=local|dev|prod, paths.root=…, storage.url=…, output=json.",
            "`lakeray COMMAND --help` says more, `lakeray COMMAND --cfg job` prints the settings in effect.",
            "Exit codes: 0 done · 1 a stream failed · 2 wrong usage · 3 another committer is at work · 130 interrupted",
        ]
    )


def command_help(name: str) -> str:
    """``lakeray COMMAND --help``."""
    text, body = COMMANDS[name]
    return f"lakeray {name}: {text}\n\n{body}"
