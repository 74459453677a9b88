"""The subcommands of `lpe`; each imports what it needs when it runs, so that `lpe --help` is quick."""
