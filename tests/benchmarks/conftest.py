import sys
from pathlib import Path

# The benchmarks run from the repository, and are no part of the package.
sys.path.insert(0, str(Path(__file__).parents[2]))
