"""From a checked command to run folders: the jobs of a sweep, where they run, how they end."""
