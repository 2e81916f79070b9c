"""The committed tables: see results/README.md."""
