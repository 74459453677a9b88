"""What `lpe inspect` finds in a source: its parts, each in a file of its own."""
