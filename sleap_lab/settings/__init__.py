"""The settings of an experiment: keys with types and defaults, composition, and checks."""
