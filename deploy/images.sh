#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container images of docker-compose.yml without pulling any: static
# programs on the host into .build/linux, each put into an empty image.
#
#   SEAFRONT_REGISTRY  put before the images' names, default seafront
#   SEAFRONT_VERSION   tag of the images and version of the programs, default dev
#   ETCD_IMAGE         name of etcd's image, default seafront/etcd:dev
#   SEAFRONT_NO_DOCKER not empty: build the programs only
set -euo pipefail
cd "$(dirname "$0")/.."
registry=${SEAFRONT_REGISTRY:-seafront}
version=${SEAFRONT_VERSION:-dev}
etcd_image=${ETCD_IMAGE:-seafront/etcd:dev}
out=.build/linux
export CGO_ENABLED=0 GOOS=linux GOFLAGS=-buildvcs=false

mkdir -p "$out/data"
echo "== programs for Linux"
go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/" \
  ./cmd/seafront ./services/config/cmd/config ./services/origin-registry/cmd/origin-registry ./services/edge/cmd/edge
echo "== etcd, etcdctl and etcdutl from their Go modules"
(cd deploy/etcd && GOWORK=off go build -trimpath -ldflags '-s -w' -o "../../$out/" ./etcd ./etcdctl go.etcd.io/etcd/etcdutl/v3)
if [[ -n ${SEAFRONT_NO_DOCKER:-} ]]; then
  exit 0
fi

# The legacy builder complains about its age each time: shown only with a failure.
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT

# build FILE IMAGE ARGUMENTS...
build() {
  local file=$1 image=$2
  shift 2
  echo "== image $image"
  docker build --quiet --file "deploy/docker/$file" --tag "$image" "$@" . >/dev/null 2>"$complaints" || {
    cat "$complaints" >&2
    return 1
  }
}
for service in config origin-registry edge seafront; do
  build Dockerfile "$registry/$service:$version" --build-arg "SERVICE=$service"
done
build Dockerfile.etcd "$etcd_image"
