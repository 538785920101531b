"""Predictions in the formats that other programs read, one module for each."""
