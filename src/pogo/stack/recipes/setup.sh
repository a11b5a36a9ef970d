# Turns a fresh Debian tree into a stack. Run as root by mmdebstrap: sh setup.sh ROOT
set -eu
root=$1

chroot "$root" localedef -i en_US -f UTF-8 en_US.UTF-8
printf 'LANG=en_US.UTF-8\n' > "$root/etc/default/locale"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"

# The operator's certificate authorities become part of the image's bundle.
if [ -d /usr/local/share/ca-certificates ]; then
    cp -rL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
    rm -f "$root/usr/local/share/ca-certificates/pogoapp-"*  # an installation's own; the image serves several
fi
chroot "$root" update-ca-certificates > /dev/null

# The user of every dyno and build.
chroot "$root" groupadd --gid 1000 dyno
chroot "$root" useradd --uid 1000 --gid 1000 --home-dir /app --no-create-home --shell /bin/bash dyno
install -d -m 755 -o 1000 -g 1000 "$root/app"
install -d -m 755 "$root/pogo" "$root/pogo/in" "$root/pogo/out" "$root/pogo/lib" "$root/pogo/buildpacks"

# Mount points and files that a container puts its own over.
printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
printf 'localhost\n' > "$root/etc/hostname"
rm -f "$root/etc/resolv.conf"
: > "$root/etc/resolv.conf"
: > "$root/etc/machine-id"

# What the build of the image needed and the image does not.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/ssh/ssh_host_"*
rm -rf "$root/var/log/"*.log "$root/var/cache/debconf/"*-old "$root/usr/share/info"
