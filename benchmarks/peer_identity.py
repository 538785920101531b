"""Run commands of sleap-nn one after the other in one process; prints the seconds of each as JSON.

Run by `benchmarks.identity` in sleap-nn's environment, so it imports nothing of sleap_lab. The
commands are those that sleap-nn installs, called as its users call them; start-up is paid once.
"""

import json
import sys
import time
from importlib.metadata import entry_points


def main() -> None:
    """Run every command, the first of them once before to warm up."""
    commands = json.loads(sys.argv[1])
    (command,) = entry_points(group="console_scripts", name="sleap-nn")
    run = command.load().main
    seconds = []
    for words in [*commands[:1], *commands]:
        start = time.perf_counter()
        run(args=words, prog_name="sleap-nn", standalone_mode=False)
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds[1:]))


main()
