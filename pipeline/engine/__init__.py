"""How shards run: the only folder that builds a Beam pipeline."""
