"""Comparison of schemes: one model, one recipe, every scheme (the paper's Fig. 2), and what its accuracy is worth."""
