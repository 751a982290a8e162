"""`python -m hardware_sim`."""

import sys

from hardware_sim.cli import main

sys.exit(main())
