"""What an experiment can be asked: every key with its type and default, how a command line becomes one, and what contradicts itself."""
