"""What a sweep leaves: its ledger, the results of its jobs side by side, and their record."""
