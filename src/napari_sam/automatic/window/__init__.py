"""One window: a grid of points, masks, filters, a label image."""
