"""A trained method on held out rows: predictions, ranks, evidence of effects, values with intervals."""
