"""What finished runs say: selection, comparison, tables of results, figures, effects by feature."""
