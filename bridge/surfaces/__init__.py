"""Where a human decides without an IDE: the review page."""
