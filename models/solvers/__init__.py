"""Models that bring their own learning rule: closed forms, neighbourhoods, alternating least squares."""
