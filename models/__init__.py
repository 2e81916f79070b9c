"""What predicts: the Method contract and one file per backbone or solver."""
