"""The stages that make poses, what was computed before, and how the work is shared out among devices."""
