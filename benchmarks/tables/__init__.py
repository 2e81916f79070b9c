"""The verb `table`: a paper's table from its definition, one module per kind of table."""
