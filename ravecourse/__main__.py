"""`python -m ravecourse` is `ravecourse`."""

import sys

from ravecourse.cli import main

if __name__ == "__main__":
    sys.exit(main())
