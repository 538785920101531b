"""Timing against sleap-nn: both sides alternate in one run, so that other load affects both."""
