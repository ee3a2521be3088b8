"""The recommendation of the batch-sizing suite, and its plot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from benchmarks.batch_sizing import panels, recommend, with_earlier
from benchmarks.plot import svg


def cell(target: int, mb_per_s: float, peak: int, width: str = "narrow") -> dict[str, Any]:
    return {
        "width": width,
        "file_mb": 2,
        "target_mb": target,
        "mb_per_s": mb_per_s,
        "peak_mb": peak,
        "dbt_percent": 50.0,
    }


def test_the_smallest_target_that_is_nearly_as_fast_as_the_best_is_recommended() -> None:
    cells = [cell(16, 5.0, 300), cell(64, 9.6, 500), cell(256, 10.0, 900)]
    assert recommend(cells, memory_bytes=10**10)["target_mb"] == 64


def test_a_target_whose_peak_takes_more_than_half_of_the_machine_is_not_recommended() -> None:
    cells = [cell(16, 5.0, 300), cell(64, 9.0, 900), cell(256, 18.0, 2100)]
    assert recommend(cells, memory_bytes=2 * 10**9)["target_mb"] == 64


def test_rows_count_alike_however_fast_they_are() -> None:
    narrow, wide = [cell(16, 1.0, 1), cell(64, 1.0, 1)], [cell(16, 50.0, 1, "wide"), cell(64, 100.0, 1, "wide")]
    found = recommend([*narrow, *wide], memory_bytes=10**10)
    assert found["target_mb"] == 64
    assert found["relative_throughput"] == {"16": 0.707, "64": 1.0}


def test_a_grid_measured_in_parts_keeps_each_cells_newest_measurement() -> None:
    earlier = [cell(16, 1.0, 1), cell(64, 2.0, 1), cell(16, 3.0, 1, "wide")]
    both = with_earlier([cell(64, 5.0, 2), cell(256, 6.0, 2)], earlier)
    found = [(item["width"], item["target_mb"], item["mb_per_s"]) for item in both]
    assert found == [("narrow", 16, 1.0), ("narrow", 64, 5.0), ("narrow", 256, 6.0), ("wide", 16, 3.0)]


def test_the_plot_is_an_svg_with_a_point_for_each_cell() -> None:
    cells = [cell(16, 5.0, 300), cell(64, 9.6, 500), cell(16, 1.0, 2, "a & b")]
    circles = ET.fromstring(svg(panels(cells))).iter("{http://www.w3.org/2000/svg}circle")
    assert len(list(circles)) == 3 * 3
