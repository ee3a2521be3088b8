"""The fed lake, made once for all acceptance tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.fed import Fed, feed_while_others_look
from tests.support.real.lake import Lake


@pytest.fixture(scope="session")
def fed(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Fed:
    """A lake that was fed to its end."""
    return feed_while_others_look(Lake.new(tmp_path_factory.mktemp("fed") / "lake", extensions=extension_directory))
