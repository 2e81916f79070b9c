"""From words on the command line to typed options: choices, plugins, composition by Hydra, validation."""
