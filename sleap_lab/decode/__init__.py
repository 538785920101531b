"""Decoders: network outputs to points, pure functions on arrays."""
