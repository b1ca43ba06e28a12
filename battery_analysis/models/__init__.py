"""Documents: shape and validation only."""
