"""`python -m reidlab`, the command as a module; torchrun starts it in several processes."""

import os
import sys

from reidlab.cli import main

main()
if int(os.environ.get("WORLD_SIZE", "1")) > 1:
    # All is written. PyTorch's background threads sometimes abort a process that is about to end
    # ("terminate called without an active exception"), and torchrun would call the run a failure.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
