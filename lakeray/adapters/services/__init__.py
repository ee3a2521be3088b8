"""Real SeaweedFS and Postgres on this machine for ``env=dev``, from PyPI wheels: no container, nothing to install."""
