"""From places to stored tests."""
