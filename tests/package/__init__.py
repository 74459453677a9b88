"""The distribution: what is in it, and that it works where nothing of the checkout is in reach."""
