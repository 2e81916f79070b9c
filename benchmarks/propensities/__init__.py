"""P(pair is observed): the choices, fitted to a run's rows, with diagnostics in words."""
