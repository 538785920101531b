"""The pose record that is passed between stages, and values computed from its points alone."""
