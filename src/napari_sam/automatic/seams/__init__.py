"""What is one object across the seams of windows, and its pixels."""
