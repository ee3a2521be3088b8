"""Credentials for S3: the configured ones, or what boto3's chain finds."""

from __future__ import annotations

from dataclasses import dataclass

from lakeray.values.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class S3Credentials:
    """Keys for S3. ``repr`` shows nothing."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


def credentials(
    access_key_id: str | None, secret_access_key: str | None, session_token: str | None = None
) -> S3Credentials:
    """The given keys, or else those of the AWS chain: profile, web identity, container, instance.

    Raises:
        UsageError: neither is there, or the chain fails.
    """
    if access_key_id and secret_access_key:
        return S3Credentials(
            access_key_id=access_key_id, secret_access_key=secret_access_key, session_token=session_token
        )
    import boto3  # 0.3 s, and only the chain needs it
    from botocore.exceptions import BotoCoreError

    try:
        found = boto3.Session().get_credentials()
    except BotoCoreError as error:
        raise UsageError(
            "storage.access_key_id", expected="credentials that the AWS chain finds", found=str(error)
        ) from error
    if found is None:
        raise UsageError(
            "storage.access_key_id",
            expected="keys, or credentials that the AWS chain finds",
            found="none",
            todo="Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or what the AWS chain reads",
        )
    frozen = found.get_frozen_credentials()
    if frozen.access_key is None or frozen.secret_key is None:
        raise UsageError("storage.access_key_id", expected="complete credentials", found="half of them")
    return S3Credentials(
        access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token
    )
