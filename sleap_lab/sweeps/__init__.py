"""From a command to run folders: the jobs of a sweep, where they run, their fate and results."""
