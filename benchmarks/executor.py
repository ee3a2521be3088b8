"""Validating footers inline and on Ray: what starting Ray costs, and from how many files on it pays.

The answer is the default of ``ray.auto_files``. Run alone: ``python -m benchmarks.executor``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable

from benchmarks.report import keep, lakeray, timed
from lakeray import wiring
from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.ray import feeders
from lakeray.adapters.ray.executor import RayExecutor
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.planning import plan_stream
from lakeray.ports.execution import Executor

_FILES = 1000


def main() -> None:
    """Measure one narrow stream."""
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        words = ["+stream=klaviyo/events", f"paths.root={folder}", "batch.max_files=250"]
        sample = ["sample.days=1", f"sample.files_per_day={_FILES}", "sample.rows_per_file=20"]
        lakeray("sample", *words, *sample)
        settings = settings_of(parse(["feed", *words]))
        with wiring.opened(settings) as app:
            stream = app.streams()[0]
            plan = plan_stream(app.rules(stream), app.planning_ports())
            contract = stream.landing_contract()
            validator = wiring.batch_validator(settings)

            def run(executor: Executor) -> float:
                return timed(lambda: list(executor.validate(plan.batches, contract=contract, ahead=2)))

            inline = run(wiring.inline_executor(settings))
            times: list[float] = []
            whole_s = timed(lambda: times.append(_on_ray(run, validator)))
    ray_s = times[0]
    overhead = whole_s - ray_s  # the first pass, which warms the workers, included
    keep(
        "executor",
        {
            "files": plan.files,
            "inline_files_per_s": round(plan.files / inline),
            "ray_files_per_s": round(plan.files / ray_s),
            "ray_start_and_stop_s": round(overhead, 1),
            "inline_does_in_that_time_files": round(plan.files / inline * overhead),
        },
    )


def _on_ray(run: Callable[[Executor], float], validator: BatchValidator) -> float:
    """Seconds on a Ray that has run one batch before: importing pyarrow in its workers is part of starting it."""
    with feeders.cluster(address=None, num_cpus=None):
        executor = RayExecutor(validator)
        run(executor)
        return run(executor)


if __name__ == "__main__":
    main()
