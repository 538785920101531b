"""`python -m sleap_lab`, the same as `sleap-lab`."""

from sleap_lab.cli import main

main()
