"""What the bridge costs: ``python -m benchmarks`` measures it and holds it to its goals."""
