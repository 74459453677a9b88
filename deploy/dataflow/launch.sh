#!/usr/bin/env bash
# Launches a template that build.sh wrote: one job on Dataflow.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy/dataflow/launch.sh encrypt|reencrypt NAME=VALUE …

  deploy/dataflow/launch.sh encrypt source=dataset:gs://B/plain/cifar10 output=gs://B/encrypted/cifar10 \
    keystore=gs://K/lpe key=patients
  deploy/dataflow/launch.sh reencrypt dataset=gs://B/encrypted/cifar10 keystore=gs://K/lpe if_due=true

The parameters are the long options of the command with underscores; flags are true or false. What it runs on comes
from the environment (terraform output gives most of it):

  PROJECT          the owner's Google Cloud project
  REGION           where the job runs; its buckets, keys and subnetwork are there too
  TEMPLATE         the template, gs://BUCKET/PATH/COMMAND-TAG.json
  JOBS             the folder for what the job stages, gs://BUCKET/PATH
  SERVICE_ACCOUNT  e-mail of the account that launcher and workers run as
  SUBNETWORK       regions/REGION/subnetworks/NAME, with Private Google Access: no machine gets a public address
  KMS_KEY          projects/…/cryptoKeys/NAME, which encrypts the workers' disks and what Dataflow keeps of the job
  MACHINE_TYPE     of the workers (default: n2-standard-4)
  MAX_WORKERS      at most so many (default: 10)
TEXT
}

if [[ ${1:-} == --help ]]; then
  usage
  exit 0
fi
command=${1:-}
if [[ $command != encrypt && $command != reencrypt ]] || [[ $# -lt 2 ]]; then
  usage >&2
  exit 2
fi
shift
for name in PROJECT REGION TEMPLATE JOBS SERVICE_ACCOUNT SUBNETWORK KMS_KEY; do
  if [[ -z ${!name:-} ]]; then
    echo "launch.sh: set $name (see --help)" >&2
    exit 2
  fi
done

home=
parameters=()
for word in "$@"; do
  if [[ ! $word =~ ^[a-z_]+=. || $word == *'|'* ]]; then
    echo "launch.sh: $word: give NAME=VALUE, without a |" >&2
    exit 2
  fi
  case $word in
    output=*) [[ $command == encrypt ]] && home=${word#*=} ;;
    dataset=*) [[ $command == reencrypt ]] && home=${word#*=} ;;
  esac
  # ^|^ keeps gcloud from taking commas in the value for separators.
  parameters+=("--parameters=^|^$word")
done
if [[ -z $home ]]; then
  echo "launch.sh: name the dataset's home: output=gs://… for encrypt, dataset=gs://… for reencrypt" >&2
  exit 2
fi
# The schedule's rule: Dataflow refuses a second job of a name while one is running.
hash=$(printf %s "$home" | sha256sum)

# A batch job without Streaming Engine: it shuffles a few words a shard, and never an image.
gcloud dataflow flex-template run "lpe-$command-${hash:0:8}" \
  --project="$PROJECT" \
  --region="$REGION" \
  --template-file-gcs-location="$TEMPLATE" \
  --service-account-email="$SERVICE_ACCOUNT" \
  --subnetwork="$SUBNETWORK" \
  --disable-public-ips \
  --dataflow-kms-key="$KMS_KEY" \
  --temp-location="${JOBS%/}/temp" \
  --staging-location="${JOBS%/}/staging" \
  --worker-machine-type="${MACHINE_TYPE:-n2-standard-4}" \
  --max-workers="${MAX_WORKERS:-10}" \
  "${parameters[@]}"
