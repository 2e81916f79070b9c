"""How a method is trained: feeds of batches by layout, the compiled epoch, the loop around it."""
