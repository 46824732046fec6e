#!/bin/sh
# A clock. It says good-bye when it is asked to end.
trap 'echo "good-bye"; exit 0' TERM
while :; do
  date '+%H:%M:%S'
  sleep 1 &
  wait $!
done
