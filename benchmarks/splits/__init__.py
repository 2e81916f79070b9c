"""Which rows train, select and test; how each part was sampled; what leaks between them."""
