"""Files: atomic writes, hashes, the log file, and safe readers of files from elsewhere.

A file is written whole or not at all, and is identified by its content. A file from elsewhere is
read without running anything in it.
"""
