"""Teaching SAM: the data, the losses and the loop that made the embedded default."""
