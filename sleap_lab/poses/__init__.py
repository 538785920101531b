"""The record that flows between stages, and what follows from its points alone."""
