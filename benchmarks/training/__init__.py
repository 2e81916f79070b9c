"""How a method is trained: the feed of batches of each layout, the compiled epoch, and the loop around it."""
