"""From a command to run folders: one job or many, where they run, what became of them, and what they add up to."""
