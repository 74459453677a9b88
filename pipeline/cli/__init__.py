"""The `lpe` command."""
