"""What differs between runs: settings, metrics, and the effect of each setting."""
