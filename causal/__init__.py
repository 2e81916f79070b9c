"""What is true: interactions, risks, objectives, worlds, intervals. Works on arrays and imports nothing above it."""
