"""Files of other writers: taken in equal to DuckDB's own reading, or refused as docs/compatibility.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, Contract
from tests.differential.lakes import Twins, WrittenLake
from tests.differential.other_writers import CONTRACTS, TYPES, files

PAGE = Path(__file__).parents[2] / "docs/compatibility.md"
SAMPLE = ("TIME", "DOUBLE")
COPIES, AS_IT_IS = "copy", "as it is"


def told() -> dict[str, dict[str, str]]:
    """The page's table: by the file's type and the contract's."""
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").split("## Types", 1)[1].split("\n## ", 1)[0].splitlines()
        if line.startswith("|") and not line.startswith("|--")
    ]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}


def became(pair: Twins, lake: WrittenLake, contract: str) -> dict[str, dict[str, str]]:
    """What became of each type's file under the contract, by writer; that the rows are DuckDB's is seen here."""
    columns = (Column(name="_airbyte_raw_id", type=parse_type("VARCHAR")), Column(name="c", type=parse_type(contract)))
    wanted = Contract(columns=columns, primary_key=())
    stream = pair.new_stream(wanted)
    made = {(kind, writer): pair.put(pair.key(stream, f"{n}"), data) for n, (kind, writer, data) in enumerate(files())}
    landed = lake.take_in(stream, wanted, list(made.values()))
    assert landed.request is not None
    refused = {item.file.key: str(item.reason) for item in landed.request.rejected}
    copied = {item.file.key for item in landed.request.files if item.registered_path}
    lake.rows("SET TimeZone = 'UTC'")
    landing = dict(
        lake.rows(f"SELECT _airbyte_raw_id, CAST(c AS VARCHAR) FROM lakehouse.staging.{stream.landing_table}")
    )
    found: dict[str, dict[str, str]] = {kind: {} for kind in TYPES}
    for (kind, writer), file in made.items():
        if file.key in refused:
            found[kind][writer] = refused[file.key]
            continue
        as_json = contract == "VARCHAR" and any(word in kind for word in ("list", "struct", "map"))
        wanted_as = "to_json(c)" if as_json else f"CAST(c AS {contract})"
        own = lake.rows(
            f"SELECT _airbyte_raw_id, CAST({wanted_as} AS VARCHAR) FROM read_parquet(?)", [lake.raw.url(file.key)]
        )
        assert len(own) == 3 and {row: landing[row] for row, _ in own} == dict(own), (kind, writer, contract)
        found[kind][writer] = COPIES if file.key in copied else AS_IT_IS
    return found


def cell(by_writer: dict[str, str]) -> str:
    """One word when all writers agree; else the ones that differ from pyarrow are named."""
    usual = by_writer["pyarrow"]
    others: dict[str, list[str]] = {}
    for writer, what in by_writer.items():
        if what != usual:
            others.setdefault(what, []).append(writer)
    return "; ".join([usual, *(f"{', '.join(writers)}: {what}" for what, writers in others.items())])


def agree(pair: Twins, contract: str) -> None:
    page = told()
    found = {kind: cell(by_writer) for kind, by_writer in became(pair, pair.catalog, contract).items()}
    assert found == {kind: row[contract] for kind, row in page.items()}


@pytest.mark.parametrize("catalog_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("contract", SAMPLE)
def test_what_the_page_says_becomes_of_files_of_other_writers(pair: Twins, contract: str) -> None:
    agree(pair, contract)


@pytest.mark.long
@pytest.mark.parametrize("catalog_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("contract", [contract for contract in CONTRACTS if contract not in SAMPLE])
def test_every_cell_of_the_page(pair: Twins, contract: str) -> None:
    agree(pair, contract)


def test_the_page_has_every_type_and_every_contract() -> None:
    page = told()
    assert page.keys() == TYPES.keys()
    assert {tuple(row) for row in page.values()} == {CONTRACTS}
