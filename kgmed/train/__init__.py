"""Training of the learned parts; the engine imports nothing from here."""
