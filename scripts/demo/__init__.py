"""How the demo is made: animals, where they walk, what networks learn from, and the models."""
