"""A real Flink on loopback: Beam's job server for it, an embedded cluster, and one of separate processes."""
