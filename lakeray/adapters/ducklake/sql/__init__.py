"""Named SQL. Python binds the values and quotes the identifiers; the text is here."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=128)
def load(name: str) -> str:
    """The statement in ``{name}.sql``.

    Raises:
        FileNotFoundError: there is no such file, which is a programming error.
    """
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
