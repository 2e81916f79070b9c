"""One run: plan, prepare, fit, evaluate, record; the store of records; tracking; top lists from a finished run."""
