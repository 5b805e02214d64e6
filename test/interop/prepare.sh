#!/bin/sh
# Makes the closed world of closed-world.ts, in fresh net, mount, pid, ipc and uts namespaces, and then becomes COMMAND:
#
#   prepare.sh DIRECTORY CHECKOUT NODE USER UID COMMAND...
#
# DIRECTORY gets a tmpfs with all that the bench needs: bin/ (node, slipway, peer.mjs), slipway/ (the built package),
# home/ (the user's), etc/ (files bound over those of /etc). It is not below /run: --enable-sandbox must hide it.
set -eu
directory=$1 checkout=$2 node=$3 user=$4 uid=$5
shift 5

# Rootless programs share mounts with namespaces of their own; with the machine nothing is shared.
mount --make-rprivate / && mount --make-rshared /
mount -t tmpfs -o mode=755 slipway-interop "$directory"
cd "$directory"

mkdir bin etc slipway
for part in dist node_modules; do
  mkdir "slipway/$part"
  mount --bind "$checkout/$part" "slipway/$part"
done
cp "$checkout/package.json" slipway/
cp "$checkout/test/interop/peer.mjs" bin/
cp "$node" bin/node
ln -s ../slipway/dist/cli.js bin/slipway

# A user that the machine does not know, with subordinate ids of its own.
cp /etc/passwd /etc/group etc/
echo "$user:x:$uid:$uid::$directory/home:/bin/sh" >>etc/passwd
echo "$user:x:$uid:" >>etc/group
echo "$user:100000:65536" >etc/subuid
cp etc/subuid etc/subgid
echo 'nameserver 198.51.100.53' >etc/resolv.conf
echo '127.0.0.1 localhost' >etc/hosts
for file in passwd group subuid subgid resolv.conf hosts; do
  [ -e "/etc/$file" ] || : >"/etc/$file"
  mount --bind "etc/$file" "/etc/$file"
done

for hidden in /run /dev/shm /var/tmp; do mount -t tmpfs -o mode=1777 slipway-interop "$hidden"; done
chmod 755 /run
mkdir /run/user
install -d -o "$uid" -g "$uid" -m 700 home "/run/user/$uid"

# The machine's is often mode 600.
mount -t tmpfs -o mode=755 slipway-interop /dev/net
mknod -m 666 /dev/net/tun c 10 200
# crun refuses a hierarchy of both versions.
umount --recursive /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 slipway-interop /sys/fs/cgroup

ip link set lo up
cd /
exec "$@"
