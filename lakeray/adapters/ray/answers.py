"""What Ray answers, with our own errors unwrapped and Ray's typed."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from lakeray.values.errors import LakerayError, TryAgainError


def get(reference: Any) -> Any:
    """The value of a reference.

    Raises:
        LakerayError: what the task or actor raised.
        TryAgainError: Ray itself ended.
    """
    try:
        return result(reference)
    except RayTaskError:
        raise
    except RayError as error:
        raise ended(error) from error


def ended(error: RayError) -> TryAgainError:
    """What is told when Ray itself ended."""
    return TryAgainError(
        "Ray ended before its work was done",
        found=str(error).split("\n", 1)[0],
        todo="Run the feed again: it starts from what the catalog says",
    )


def result(reference: Any) -> Any:
    """The value of a reference; our own errors as they were raised, Ray's as they are."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, LakerayError):
            raise error.cause from None
        raise
