"""`python -m lpe`: the command."""

from lpe.pipeline.cli.app import entry_point

if __name__ == "__main__":
    entry_point()
