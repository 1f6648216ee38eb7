"""Segment everything: one window here; the tiles of an image of any size build on it.

Grids of clicks go in, and come out as masks; duplicates, cut masks, specks and the
background go away; what is left is a list of records or a label image.
"""
