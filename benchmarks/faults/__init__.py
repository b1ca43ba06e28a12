"""What must not be lost, doubled or falsified, whatever happens: ``python -m benchmarks.faults``."""
