#!/bin/sh
# A worker that does a few jobs and then crashes, as workers do.
n=0
while [ "$n" -lt "${WORKER_JOBS:-5}" ]; do
  n=$((n + 1))
  echo "job $n done by $PS"
  sleep 1
done
echo "job $((n + 1)) was too much" >&2
exit 1
