"""Say whether a change of a stage's code can change its results; `make test` asks for it.

Results are cached under the version of their stage. Code that was moved, renamed or made faster keeps the version, so that what users
have cached stays valid; code that can answer otherwise gets another.

    python scripts/stage_code.py                      which stages have changed
    python scripts/stage_code.py --same predict       what it computes is what it computed before, to the last bit
    python scripts/stage_code.py --changed predict    it may differ: nothing that was cached counts any more
"""

import argparse
import json
from pathlib import Path

from sleap_lab.inference.fingerprint import RECORD, STAGE_CODE, code_hash

FILE = Path(__file__).parents[1] / "sleap_lab" / "inference" / RECORD


def main() -> None:
    """Record what was declared, and list the stages whose code nobody has looked at."""
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
    record = json.loads(FILE.read_text())
    for stage in STAGE_CODE:
        code = code_hash(*STAGE_CODE[stage])
        if stage in arguments.changed:
            record[stage] = {"results": code, "code": code}
        elif stage in arguments.same:
            record[stage]["code"] = code
        print(
            f"{stage}: {'recorded' if record[stage]['code'] == code else 'changed, and nobody has said whether its results can'}"
        )
    FILE.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
