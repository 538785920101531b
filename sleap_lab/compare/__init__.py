"""What differs between runs: settings, metrics, and what each setting does."""
