"""Published repositories in their own layout, with tiny random weights: the same classes, blocks and file names."""
