"""What runs inside IDEs, and the emulator that stands in for them."""
