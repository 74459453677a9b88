"""How images move: read as shard tasks, transformed in batches, written as datasets. Beam lives here."""
