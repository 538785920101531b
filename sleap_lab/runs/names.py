"""Names of metrics, parameters and tags as MLflow accepts them everywhere.

MLflow takes letters, digits, `_ - . /` and spaces, and refuses names that are not a plain relative
path. Any other character becomes `_xHH_` with its hexadecimal code point: `tail@base` is logged as
`tail_x40_base`. So different names stay different.
"""

import re

# A slash or dot is refused only where it makes the name an odd path; an underscore is encoded only
# where the name would otherwise look encoded. The colon, which MLflow refuses on Windows only, is
# encoded, too.
_REFUSED = re.compile(r"[^\w\-. /]|^/|/(?=/|\Z)|(?:^|(?<=/))\.|_(?=x[0-9A-F])")
_CUT = re.compile(r"[?#%]")


def file_name(name: str) -> str:
    """Return the name of a file with `?`, `#` and `%` encoded, so that every store keeps it.

    On upload to a server a name is cut at `?` and `#`, and `%20` is decoded, so that several files
    could become one.
    """
    return _CUT.sub(lambda match: f"_x{ord(match[0]):02X}_", name)


def clean_name(name: str) -> str:
    """Return the name with every character that MLflow refuses encoded."""
    return _REFUSED.sub(lambda match: f"_x{ord(match[0]):02X}_", name)
