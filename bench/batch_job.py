"""A contender: one step of the batch layer. `python -m bench.batch_job JOB CUT_FILE LAP_FILE`.

Starting Python is left out of the lap, starting the processes of a recompute is in it. These run
this file again under another name, and need nothing of it: so it is with the product's own command.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    from bench.batch_jobs import run

    run(sys.argv[1], *map(Path, sys.argv[2:]))
