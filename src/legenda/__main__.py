"""`python -m legenda`."""

import sys

from legenda.cli import main

sys.exit(main())
