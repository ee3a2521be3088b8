"""The catalog writer against DuckLake's own call: whatever the files are, the same catalog and the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lakeray.values.model import Landed
from tests.differential import files
from tests.differential.compare import same_answers, same_catalogs, same_table_statistics
from tests.differential.files import Case, cases
from tests.differential.lakes import Twins

_QUICK = {"sqlite": 4, "postgres": 3}
_LONG = 50
_PARTS = 12
"""Each with lakes of its own: DuckLake keeps every version of a schema, so cases cost more the more came before."""
_PHASES = (Phase.explicit, Phase.generate)


def check(pair: Twins, case: Case) -> None:
    """Register the case's batches in both lakes, and compare all that is there then."""
    stream = pair.new_stream(case.contract)
    landed: list[dict[str, int]] = []
    paths: list[str] = []
    for number, batch in enumerate(case.batches):
        found = [pair.put(pair.key(stream, f"{number}-{at}"), data) for at, data in enumerate(batch)]
        taken = pair.take_in(stream, case.contract, found)
        landed.append({name: item.snapshot for name, item in taken.items()})
        kept = {name: _kept(item) for name, item in taken.items()}
        assert kept["catalog"] == kept["extension"]
        paths += [pair.catalog.raw.url(key) for key in kept["catalog"]]
    same_catalogs(pair, stream)
    same_table_statistics(pair, stream)
    same_answers(pair, stream, landed, paths)


def _kept(landed: Landed) -> list[str]:
    assert landed.request is not None
    return [item.file.key for item in landed.request.files]


def run(pair: Twins, tmp_path: Path, *, examples: int, **sizes: int) -> None:
    """So many cases."""
    files.into(tmp_path)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), phases=_PHASES)
    @given(case=cases(**sizes))
    def every(case: Case) -> None:
        check(pair, case)

    every()


def test_the_same_files_are_the_same_catalog_and_the_same_answers(
    pair: Twins, tmp_path: Path, catalog_kind: str
) -> None:
    run(pair, tmp_path, examples=_QUICK[catalog_kind])


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(_PARTS))
def test_many_files_are_the_same_catalog_and_the_same_answers(own_pair: Twins, tmp_path: Path, part: int) -> None:
    run(own_pair, tmp_path, examples=_LONG, columns=6, rows=8, files=5, batches=3)
