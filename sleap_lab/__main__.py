"""`python -m sleap_lab`, the same as `sleap-lab`."""

from sleap_lab.cli import main

if __name__ == "__main__":  # processes that are started for a part of the work import this file
    main()
