"""A paper's table from its definition, one module per kind of table."""
