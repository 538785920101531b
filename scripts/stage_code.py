"""Say whether a code change of a stage can change its results; `make test` requires it.

Results are cached under the version of their stage. Code that is moved, renamed or made faster
keeps the version, so that the cached results of users stay valid. Code whose results can differ
gets another version. With a new choice, results are the same where every config that was valid
before gives what it gave; those of `tune` are not, where it tries the choice.

    python scripts/stage_code.py                      lists the stages; fails if one is undeclared
    python scripts/stage_code.py --same predict       its results are the same, to the last bit
    python scripts/stage_code.py --changed predict    they may differ: cached results are void
"""

import argparse
import json
import sys
from pathlib import Path

from sleap_lab.inference.fingerprint import RECORD, STAGE_CODE, code_hash

FILE = Path(__file__).parents[1] / "sleap_lab" / "inference" / RECORD


def main() -> int:
    """Record what was declared, and list the stages; return 1 where one is undeclared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--same",
        nargs="+",
        choices=STAGE_CODE,
        default=[],
        metavar="STAGE",
        help=", ".join(STAGE_CODE),
    )
    parser.add_argument(
        "--changed", nargs="+", choices=STAGE_CODE, default=[], metavar="STAGE", help="likewise"
    )
    arguments = parser.parse_args()
    record, undeclared = json.loads(FILE.read_text()), 0
    for stage in STAGE_CODE:
        code = code_hash(*STAGE_CODE[stage])
        if stage in arguments.changed:
            record[stage] = {"results": code, "code": code}
        elif stage in arguments.same:
            record[stage]["code"] = code
        if record[stage]["code"] == code:
            print(f"{stage}: recorded")
        else:
            undeclared = 1
            print(f"{stage}: changed, and undeclared: --same {stage}, or --changed {stage}?")
    FILE.write_text(json.dumps(record, indent=2) + "\n")
    return undeclared


if __name__ == "__main__":
    sys.exit(main())
