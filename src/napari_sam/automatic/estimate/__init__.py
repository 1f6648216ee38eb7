"""What a run settles before it begins: object size, empty windows, the plan."""
