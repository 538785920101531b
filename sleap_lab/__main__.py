"""`python -m sleap_lab`, the same as `sleap-lab`."""

from sleap_lab.cli import main

if __name__ == "__main__":  # Child processes import this file.
    main()
