"""A repeatable sample of what Airbyte lands: related Shopify and Klaviyo records, plausible ones for other streams."""

from __future__ import annotations

from lakeray.sample.files import Row, SampleFile, SampleStream, record_count, sample_files
from lakeray.sample.schedule import SampleSettings

__all__ = ["Row", "SampleFile", "SampleSettings", "SampleStream", "record_count", "sample_files"]
