"""``python -m railwright`` is the ``railwright`` command."""

import sys

from railwright.cli import main

if __name__ == "__main__":
    sys.exit(main())
