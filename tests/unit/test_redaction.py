"""Secrets do not pass, however they are written down; innocent words do."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lakeray.values import redaction
from lakeray.values.errors import CatalogError
from lakeray.values.redaction import HIDDEN, line_without_values, names_secret, redacted

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\"\\"), min_size=1, max_size=40
)
"""Anything visible on a keyboard. Quotes and backslashes are tried in quoted places, where they are escaped."""
ANY_SECRET = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40)
NAMES = st.sampled_from(
    [
        "password",
        "PGPASSWORD",
        "sslpassword",
        "DUCKLAKE_DB_PASSWORD",
        "lake.password",
        "passwd",
        "pwd",
        "secret_access_key",
        "S3_SECRET_ACCESS_KEY",
        "S3_ACCESS_KEY_ID",
        "access_key_id",
        "AWS_SESSION_TOKEN",
        "SecretAccessKey",
        "AWSAccessKeyId",
        "client_secret",
        "api_key",
        "x-api-key",
        "apikey",
        "access_token",
        "refresh_token",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "DBT_ENV_SECRET_LAKERAY_S3_KEY_ID",
        "private_key",
    ]
)
INNOCENT = [
    "stream shopify/token_events: 3 files",
    "the field password_reset_at = 2026-01-01",
    "secret santa",
    "a secret: patience",
    "password_reset_at=2026-01-01T00:00:00Z, token_count=3",
    "expected fencing token 3, found 4",
    "token=7",
    "tokens=12",
    "storage.secret_access_key; expected a text",
    "lake.password: expected a text",
    "passwords are not kept here",
    "year=2026/month=01/part_1.parquet",
    "s3://landing/raw/key=1/part_0.parquet",
    "key=shopify/orders/part_0.parquet",
    "http://127.0.0.1:8333/landing/raw/at@noon.parquet",
    "http://host:80/a?list-type=2&prefix=raw/&continuation-token=x",
    "mail to ada@example.org: 12:30",
    "postgresql://ducklake@host:5432/db",
    "is_secret=true",
    "has_password: null",
    "fields.credentials_updated_at: TIMESTAMP",
    "signature_version=4",
    "page_token=3",
    "secretary=Ada",
    "AKIAFOOD is no id",
    "CREATE TABLE t (password VARCHAR, api_key VARCHAR)",
    "SELECT secret, token FROM t",
    "a bearer of good news in 2026",
    "authorization failed for user ducklake",
    "Basic authentication is not supported",
    "access_key_ids: none",
]
PLACES = [
    "host=h {name}={value} user=u",
    "{name} = {value}",
    "url?x=1&{name}={value}&y=2",
    "https://collector.example/v1?{name}={value}",
    "left {name}={value}",
]
QUOTED = [
    ("{{'{name}': {value}, 'a': 1}}", repr),
    ('{{"{name}": {value}, "a": 1}}', json.dumps),
    ("host=h {name} = {value} user=u", lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    ("CREATE SECRET s (TYPE s3, KEY_ID {value}, SECRET {value})", lambda text: "'" + text.replace("'", "''") + "'"),
]


def appears(secret: str, text: str) -> bool:
    return secret in text.replace(HIDDEN, "")


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_words_pass(text: str) -> None:
    assert redacted(text) == text


@given(st.lists(st.sampled_from(INNOCENT), min_size=1, max_size=4), st.sampled_from([" ", "\n", "; ", " (", ") "]))
def test_innocent_words_pass_in_any_company(texts: list[str], between: str) -> None:
    text = between.join(texts)
    assert redacted(text) == text


@given(NAMES, SECRETS, st.sampled_from(PLACES))
def test_what_a_secrets_name_leads_to_does_not_pass(name: str, secret: str, place: str) -> None:
    in_a_query = "?" in place
    assume(not in_a_query or not set(secret) & set("&#<>"))
    assume(secret.lower() not in ("true", "false", "null", "none", "yes", "no"))
    core = secret.rstrip("'\")}],;:.>")
    assume(len(core) > 1 and not appears(core, place.format(name=name, value="")))
    shown = redacted(place.format(name=name, value=secret))
    assert not appears(core, shown), shown
    assert redacted(shown) == shown


@given(NAMES, ANY_SECRET, st.sampled_from(QUOTED))
def test_a_quoted_secret_does_not_pass_whatever_is_in_it(name: str, secret: str, place: tuple[str, object]) -> None:
    text, write = place
    written = write(secret)  # type: ignore[operator]
    assume(len(secret) > 3 and not appears(secret, text.format(name=name, value="")))
    shown = redacted(text.format(name=name, value=written))
    assert written[1:-1] not in shown and not appears(secret, shown), shown
    assert redacted(shown) == shown


@given(
    st.sampled_from(
        ["s3://{key}:{secret}@bucket/raw", "https://{key}:{secret}@host:9000/x", "postgresql://{key}:{secret}@h/d"]
    ),
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP0123456789+/=_-", min_size=8, max_size=40),
)
def test_a_password_in_an_address_does_not_pass(place: str, secret: str) -> None:
    assume(not secret[0].isdigit())
    shown = redacted(f"cannot open {place.format(key='ada', secret=secret)} now")
    assert not appears(secret, shown), shown
    assert "ada" in shown and shown.endswith(" now")


@given(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16, max_size=16), st.sampled_from(["AKIA", "ASIA", "AROA"])
)
def test_the_id_of_an_aws_key_does_not_pass(rest: str, kind: str) -> None:
    for text in (
        f"the key {kind}{rest} does not exist",
        f"<AWSAccessKeyId>{kind}{rest}</AWSAccessKeyId>",
        f"/{kind}{rest}/",
    ):
        assert rest not in redacted(text)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=8, max_size=40))
def test_a_secret_that_was_read_does_not_pass_anywhere(secret: str) -> None:
    assume(not any(appears(secret, text) for text in INNOCENT) and secret != "a" * len(secret))
    known = redaction._Known()
    known.add([secret])
    for text in (
        f"the server said: {secret}",
        f"https://h/x?a={quote(secret, safe='')}&b=1",
        json.dumps({"message": f"no: {secret} is wrong"}),
        "CREATE SECRET (x '" + secret.replace("'", "''") + "')",
        f"({secret})",
    ):
        shown = known.hide(text)
        assert not appears(secret, shown) and HIDDEN in shown, shown


def test_a_short_or_common_value_that_was_read_hides_no_word() -> None:
    known = redaction._Known()
    known.add(["orders", "postgres", "lakehouse1"])
    assert known.hide("int_shopify__orders in a postgresql catalog") == "int_shopify__orders in a postgresql catalog"
    assert known.hide("user lakehouse1 at mylakehouse1x") == f"user {HIDDEN} at mylakehouse1x"


def test_what_is_remembered_is_hidden_in_every_error() -> None:
    for _ in range(2):
        redaction.remember(["hunter2-hunter2-hunter2", "short", ""])
    error = CatalogError("no", found="the server repeats hunter2-hunter2-hunter2 as it was sent")
    assert "hunter2" not in f"{error} {error!r} {error.as_dict()} {error.args}"


@pytest.mark.parametrize(
    ("name", "secret"),
    {
        "password": True,
        "PGPASSWORD": True,
        "lake.password": True,
        "password_reset_at": False,
        "passwords": False,
        "secret": True,
        "secret_access_key": True,
        "secret_santa": False,
        "secretary": False,
        "token": False,
        "token_events": False,
        "session_token": True,
        "fencing_token": False,
        "X-Amz-Security-Token": True,
        "accessKeyId": True,
        "AWSAccessKeyId": True,
        "access_key_ids": False,
        "api_key": True,
        "apiKey": True,
        "primary_key": False,
        "key": False,
        "catalog": False,
        "DBT_ENV_SECRET_ANY": True,
        "signature": True,
    }.items(),
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert names_secret(name) is secret


@pytest.mark.parametrize(
    ("text", "shown"),
    {
        "host=h password=x1 user=u": "host=h password=*** user=u",
        "password = 'x1 x1' user=u": "password = *** user=u",
        r"password='x1\'x1'": "password=***",
        "postgresql://u:x1@h/db": "postgresql://u:***@h/db",
        "postgresql://u:x1@x1@h/db": "postgresql://u:***@h/db",
        "s3://AKIAX:x1/x1+x1@bucket/raw": "s3://AKIAX:***@bucket/raw",
        "CREATE SECRET s (TYPE s3, KEY_ID 'x1', SECRET 'x1''x1')": "CREATE SECRET s (TYPE s3, KEY_ID ***, SECRET ***)",
        "{'secret_access_key': 'x1', 'a': 1}": "{'secret_access_key': ***, 'a': 1}",
        '{"api_key":"x1\\"x1","a":1}': '{"api_key":***,"a":1}',
        "S3_SECRET_ACCESS_KEY=x1 and more": "S3_SECRET_ACCESS_KEY=*** and more",
        "https://b/k?X-Amz-Signature=x1&X-Amz-Credential=x1/2020&n=1": (
            "https://b/k?X-Amz-Signature=***&X-Amz-Credential=***&n=1"
        ),
        "https://otel.example/v1?api_key=x1&team=blue": "https://otel.example/v1?api_key=***&team=blue",
        "https://otel.example/v1?key=x1#top": "https://otel.example/v1?key=***#top",
        "secret_access_key: x1": "secret_access_key: ***",
        "Authorization: Bearer x1.x1": "Authorization: ***",
        "authorization: AWS4-HMAC-SHA256 Credential=x1/2026, Signature=x1": "authorization: ***, Signature=***",
        f"the key {KEY_ID} does not exist": "the key *** does not exist",
        "(password=x1)": "(password=***)",
        "user=u password=x1": "user=u password=***",
    }.items(),
)
def test_what_is_redacted_and_what_is_left(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


def test_a_message_of_duckdbs_is_one_line_without_the_values_that_it_repeats() -> None:
    told = line_without_values("Could not convert string 'MARK\tER' of \"a\" to INT32\nMARKER")
    assert told == "Could not convert string … of … to INT32"
    assert line_without_values('value "MARKER\nMARKER", can\'t\x07') == "value …"
    assert line_without_values("a can't\x07 " + 300 * "b") == ("a can't? " + 300 * "b")[:200]
    assert line_without_values("") == ""
