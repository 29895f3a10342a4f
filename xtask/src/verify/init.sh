#!/bin/busybox sh
# The first process of the machine in which tests are run. What they say goes to the second serial
# port: the first one is the kernel's.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for module in /modules/*; do
    insmod "$module"
done
cd /tmp
# One at a time: one processor of ours does the work of all of this machine.
# shellcheck disable=SC2046 # Names of tests have no spaces.
/limiter/e2e --test-threads 1 --exact $(cat /limiter/tests) > /dev/ttyS1 2>&1
echo "verify: ended with $?" > /dev/ttyS1
poweroff -f
