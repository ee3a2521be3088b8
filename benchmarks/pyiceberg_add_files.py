"""PyIceberg's ``add_files``, timed. Run by the environment .venv-bench: nothing of lakeray is importable here.

Reads one JSON object from stdin (catalog, storage, files), prints one to stdout (version, seconds).
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time

import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog


def main() -> None:
    """Make the table from the first file's schema, then add all files in one commit, and time the latter."""
    given = json.load(sys.stdin)
    catalog = SqlCatalog(
        "bench",
        uri=given["uri"],
        warehouse=given["warehouse"],
        **{
            "s3.endpoint": given["endpoint"],
            "s3.access-key-id": given["access_key_id"],
            "s3.secret-access-key": given["secret_access_key"],
            "s3.region": "us-east-1",
        },
    )
    namespace = given["namespace"]
    catalog.create_namespace(namespace)
    table = catalog.create_table((namespace, "landing"), schema=pq.read_schema(given["local_file"]))
    started = time.perf_counter()
    table.add_files(given["files"])
    seconds = time.perf_counter() - started
    print(json.dumps({"version": importlib.metadata.version("pyiceberg"), "seconds": seconds}))


if __name__ == "__main__":
    main()
