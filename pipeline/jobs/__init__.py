"""The jobs, one file a verb, as on the command line."""
