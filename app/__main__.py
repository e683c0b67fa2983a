"""`python -m gistcast`."""

import sys

from gistcast.cli import main

if __name__ == "__main__":
    sys.exit(main())
