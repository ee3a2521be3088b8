"""Credentials in an address are found wherever they are put, and a host, a bucket or a folder is none."""

from __future__ import annotations

import pytest

from lakeray.settings.addresses import holds_credentials


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAEXAMPLE:secret@bucket/raw",
        "s3://AKIAEXAMPLE:sec/ret+x@bucket/raw",
        "s3://AKIAEXAMPLE@bucket/raw",
        "s3://bucket/raw?secret_access_key=x",
        "s3://bucket/raw?X-Amz-Signature=x&y=1",
        "http://me:secret@127.0.0.1:8333",
        "http://me:sec/ret@127.0.0.1:8333",
        "https://me@host",
        "https://host/?api_key=x",
        "ftp://me:secret@host/raw",
        "file://me:secret@host/raw",
    ],
)
def test_credentials_are_found(address: str) -> None:
    assert holds_credentials(address)


@pytest.mark.parametrize(
    "address",
    [
        "s3://landing/raw",
        "s3://landing/raw@noon/a:b",
        "s3://landing/password=1/raw",
        "http://127.0.0.1:8333",
        "https://[::1]:9000/",
        "http://host/some@where",
        "https://host:443/a@b?list-type=2",
        "file:///data/a:b@c/raw",
        "/data/a:b@c/lake/",
        "C:/data/lake",
        "lake/",
    ],
)
def test_a_place_is_no_credential(address: str) -> None:
    assert not holds_credentials(address)
