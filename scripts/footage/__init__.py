"""Recordings whose frames carry their numbers: how they are made, decoded and read."""
