"""The same as the command `sleap-lab`."""

from sleap_lab.cli import main

main()
