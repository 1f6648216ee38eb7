"""The functions of the network, fast: the same answers as the plain modules."""
