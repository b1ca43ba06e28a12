"""What the product costs, as ratios against a peer or a bare library in the same run: ``python -m benchmarks``."""
