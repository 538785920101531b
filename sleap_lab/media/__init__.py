"""Recordings: which frames a media file has, when each was taken, and reading them by number."""
