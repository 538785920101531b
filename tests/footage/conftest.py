import sys
from pathlib import Path

# The maker of the recordings is a script with modules beside it, not part of the package.
sys.path.insert(0, str(Path(__file__).parents[2]))
