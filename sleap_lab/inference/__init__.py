"""The stages that make poses, the stage cache, and the distribution of work among devices."""
