"""Pixels in, labels out: lazy images and label volumes on disk."""
