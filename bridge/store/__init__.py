"""What is on disk: the journal of reviews, and files written whole or not at all."""
