"""Tools of this repository; what imports its neighbours is run by `python -m scripts.NAME`."""
