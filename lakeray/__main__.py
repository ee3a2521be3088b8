"""``python -m lakeray``."""

import sys

from lakeray.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
