"""Workers that hold what we ship and nothing else: what Beam's containers do, in processes on loopback.

The worker of these tests never sees the checkout. It begins as a Python with Beam alone (`environment`), is given
the package that `--setup_file` stages (`boot`), and is started by Beam's own worker pool (`pool`).
"""
