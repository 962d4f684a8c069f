"""`python -m ravecourse.diagrams docs`"""

import sys

from ravecourse.diagrams import main

if __name__ == "__main__":
    sys.exit(main())
