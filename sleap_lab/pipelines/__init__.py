"""From frames to poses: one module per model kind, and the engine that feeds them."""
