#!/bin/sh
# confined.sh CLI: the command in its sandbox and under its filter of system calls, with the Node that is on PATH: the
# gateway answers a ping, the API a question, and SIGTERM ends it with 0. In namespaces of its own.
set -eu
if [ "${2:-}" != inside ]; then exec timeout 20 unshare --user --map-root-user --net --mount "$0" "$1" inside; fi

folder=$(mktemp -d /tmp/slipway-confined.XXXXXX)
ends='rm -rf "$folder"'
trap 'eval "$ends"' EXIT
# soon COMMAND...: until it succeeds, five seconds at most.
soon() {
  for _ in $(seq 100); do "$@" && return; sleep 0.05; done
  echo "never: $*" >&2
  cat "$folder/log" >&2
  exit 1
}
elsewhere() { [ "$(readlink "/proc/$guest/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

unshare --net sleep 20 &
guest=$!
ends="kill $guest; $ends"
soon elsewhere
"$1" --enable-sandbox --enable-seccomp -c -a "$folder/api" -r 3 "$guest" tap0 3>"$folder/ready" >"$folder/log" 2>&1 &
daemon=$!
soon [ -s "$folder/ready" ]
grep -q '^Seccomp:.*2' "/proc/$daemon/status"
nsenter --net="/proc/$guest/ns/net" ping -c 1 -W 2 10.0.2.2 >/dev/null
answer=$(node -e 'require("net").connect(process.argv[1]).end("{\"execute\":\"list_hostfwd\"}").pipe(process.stdout)' "$folder/api")
[ "$answer" = '{"return":{"entries":[]},"entries":[]}' ]
kill "$daemon"
wait "$daemon"
