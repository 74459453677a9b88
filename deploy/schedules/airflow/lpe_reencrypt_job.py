"""What the tasks of lpe_reencrypt_dag.py run: `lpe reencrypt`, its datasets given as options.

Airflow's Beam operator passes options alone, and `lpe` takes datasets as words:

  python lpe_reencrypt_job.py --dataset=ROOT/NAME --keystore=KEYS --if-due …
"""

from __future__ import annotations

import argparse
import sys

if __name__ == "__main__":
    # Airflow looks for DAGs in this file too, and has no lpe to import.
    from lpe.pipeline.cli.app import entry_point

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dataset", action="append", required=True)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = ["reencrypt", *known.dataset, *rest]
    entry_point()
