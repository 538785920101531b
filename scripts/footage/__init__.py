"""Recordings whose frames carry their numbers: how they are made, what ffmpeg reads in them, and what the project reads."""
