"""What measures: data, splits, training loop, evaluation, store, command line."""
