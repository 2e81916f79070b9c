"""The kinds of tables, a file each: from a definition in configs/table to cells."""
