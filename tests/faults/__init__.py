"""Every command killed, and its files made to fail, at each of its file events; then run again to its end."""
