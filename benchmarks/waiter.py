"""Run a command and write what it took: `python waiter.py FILE COMMAND...`.

A process of its own, because Linux counts the memory of whoever starts a command into its peak.
"""

import json
import os
import sys
import time

file, *command = sys.argv[1:]
start = time.perf_counter()
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
took = {
    "seconds": time.perf_counter() - start,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "megabytes": usage.ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10)),
}
with open(file, "w") as written:
    json.dump(took, written)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
