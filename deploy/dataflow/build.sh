#!/usr/bin/env bash
# Builds the image, pushes it, and writes the two Flex Templates that start it.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: PROJECT=… REGION=… REPOSITORY=… TEMPLATES=gs://… [TAG=…] deploy/dataflow/build.sh

  PROJECT     the owner's Google Cloud project
  REGION      where the image's repository is, e.g. europe-west4
  REPOSITORY  the name of an Artifact Registry repository for Docker images
  TEMPLATES   the folder for the templates, gs://BUCKET/PATH
  TAG         the image's and the templates' tag; by default the commit that is checked out

Needs docker and gcloud, signed in to both: gcloud auth configure-docker REGION-docker.pkg.dev
TEXT
}

if [[ $# -gt 0 ]]; then
  usage >&2
  [[ $1 == --help ]] && exit 0
  exit 2
fi
for name in PROJECT REGION REPOSITORY TEMPLATES; do
  if [[ -z ${!name:-} ]]; then
    echo "build.sh: set $name" >&2
    usage >&2
    exit 2
  fi
done
if [[ $TEMPLATES != gs://*/* ]]; then
  echo "build.sh: TEMPLATES=$TEMPLATES is no folder gs://BUCKET/PATH" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
if [[ -z ${TAG:-} ]]; then
  sources=(.dockerignore setup.py pyproject.toml constraints.txt README.md LICENSE lpe transforms pipeline train deploy/dataflow)
  if [[ -n $(git -C "$root" status --porcelain -- "${sources[@]}" ':!deploy/dataflow/terraform') ]]; then
    echo "build.sh: there are changes that no commit holds; commit them, or set TAG" >&2
    exit 2
  fi
  TAG=$(git -C "$root" rev-parse --short=12 HEAD)
fi
image="$REGION-docker.pkg.dev/$PROJECT/$REPOSITORY/lpe:$TAG"

docker build --platform=linux/amd64 --file="$here/Dockerfile" --build-arg="IMAGE=$image" --tag="$image" "$root"
docker push "$image"
for command in encrypt reencrypt; do
  gcloud dataflow flex-template build "${TEMPLATES%/}/$command-$TAG.json" \
    --project="$PROJECT" \
    --image="$image" \
    --sdk-language=PYTHON \
    --metadata-file="$here/$command.metadata.json"
done
