#!/bin/sh
# Dagster writes beside its configuration, and the image's file system is read-only: the
# configuration goes to the task's own volume before anything starts.
set -eu
mkdir -p "$DAGSTER_HOME"
cp "$(dirname "$0")/dagster.yaml" "$DAGSTER_HOME"
exec "$@"
