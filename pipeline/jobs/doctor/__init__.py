"""doctor: whether this machine, its key store and its storage have what jobs need, a file for each kind of check."""
