"""The demo clip, its ground truth and small models, made by `scripts/make_demo.py`."""
