"""The verbs, a file each: they parse, call the Lab and render."""
