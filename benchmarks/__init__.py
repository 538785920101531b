"""Timing against the peer: both sides in one run, by turns, so that what else the machine does hits both."""
