"""Objects of a real S3 that go, shrink or change: refused or told, and no table is emptied for them (P3, P14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest

from lakeray.adapters.parquet.footers import FooterReader
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.values.errors import NotThereError
from lakeray.values.model import Rejected, RejectReason
from tests.realstack.stack import RealLake, Stack
from tests.support.real.processes import lakeray

STREAM = "klaviyo/metrics"


def client(stack: Stack) -> Any:
    services = stack.state
    return boto3.client(
        "s3",
        endpoint_url=services.s3_endpoint,
        aws_access_key_id=services.s3_access_key_id,
        aws_secret_access_key=services.s3_secret_access_key,
        region_name="us-east-1",
    )


def store_at(stack: Stack, url: str) -> ObstoreStore:
    services = stack.state
    return open_store(
        url,
        endpoint_url=services.s3_endpoint,
        region="us-east-1",
        access_key_id=services.s3_access_key_id,
        secret_access_key=services.s3_secret_access_key,
    )


def test_a_bucket_that_is_not_there_and_a_wrong_prefix_fail_the_feed_and_empty_no_table(stack: Stack) -> None:
    with pytest.raises(NotThereError, match="s3://no-such-bucket is not there"):
        store_at(stack, "s3://no-such-bucket/raw").list_level("shop/orders/")
    lake = stack.lake(streams=[STREAM])
    lake.fed()
    before = lake.contents()
    for place in ("s3://no-such-bucket/raw", f"s3://landing/rav-{lake.number}"):
        for command in ("feed", "plan", "status"):
            words = [f"storage.url={place}" if word.startswith("storage.url=") else word for word in lake.settings]
            ran = lakeray(command, *words, "feed.on_vanished=drop")
            assert ran.code == 1 and "Is storage.url right?" in ran.out + ran.err, ran.out + ran.err
    assert lake.contents() == before
    assert lake.run("feed").stream(STREAM)["status"] == "nothing_new"


def test_pending_objects_that_vanished_or_changed_are_told_and_the_others_are_merged(stack: Stack) -> None:
    lake = stack.lake(streams=[STREAM], sample=("sample.days=2", "sample.files_per_day=2"))
    keys = sorted(lake.objects())
    assert len(keys) == 4
    with lake.feed(fault="after_register") as feed:
        feed.end()
    raw, s3 = f"raw-{lake.number}/", client(stack)
    s3.delete_object(Bucket="landing", Key=raw + keys[0])
    another = s3.get_object(Bucket="landing", Key=raw + keys[2])["Body"].read()
    s3.put_object(Bucket="landing", Key=raw + keys[1], Body=another)
    found = lake.fed().stream(STREAM)
    assert (found["status"], found["error"], found["changed"], found["vanished"]) == ("ok", None, 1, 1)
    held = {item["path"]: (item["reason"], item["status"]) for item in lake.run("quarantine").document["files"]}
    assert held[keys[1]] == ("changed", "waits")
    assert lake.doctor() == []
    assert lake.run("quarantine", "retry", keys[1]).code == 0
    assert lake.fed().stream(STREAM)["files"] == 1
    assert lake.doctor() == []


SHRINK: dict[str, tuple[Callable[[RealLake, Any, str], object], RejectReason]] = {
    "vanishes": (lambda _, s3, key: s3.delete_object(Bucket="landing", Key=key), RejectReason.VANISHED),
    "shrinks": (lambda _, s3, key: s3.put_object(Bucket="landing", Key=key, Body=b"short"), RejectReason.CHANGED),
    "is emptied": (lambda _, s3, key: s3.put_object(Bucket="landing", Key=key, Body=b""), RejectReason.CHANGED),
}


@pytest.mark.parametrize("what", SHRINK)
def test_an_object_that_moves_between_its_listing_and_its_footer_is_rejected(stack: Stack, what: str) -> None:
    lake = stack.lake(streams=[STREAM], sample=("sample.days=1", "sample.files_per_day=1", "sample.syncs_per_day=1"))
    store = store_at(stack, f"s3://landing/raw-{lake.number}")
    (listed,) = store.list_files(STREAM)
    happen, reason = SHRINK[what]
    happen(lake, client(stack), f"raw-{lake.number}/{listed.key}")
    for file in (listed, replace(listed, size_bytes=listed.size_bytes * 2)):
        found = FooterReader(store).read_tail(file)
        assert isinstance(found, Rejected) and found.reason is reason, found
