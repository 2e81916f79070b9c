"""P(pair is observed) and P(pair is recommended), estimated or given, and how far to trust them."""
