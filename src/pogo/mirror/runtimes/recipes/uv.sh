# VERSION: of uv. NAME: uv-<processor>-unknown-linux-gnu. Makes /pogo/out/uv.tar.gz, with the programs below NAME.
set -euo pipefail
mkdir -p /tmp/wheel && cd /tmp/wheel
[[ $NAME == uv-"$(uname -m)"-* ]] || { echo "This machine has no $NAME."; exit 1; }
pip download --quiet --no-deps --only-binary :all: --dest . "uv==$VERSION"
unzip -q -j ./*.whl '*/scripts/uv' '*/scripts/uvx' -d "$NAME"
chmod +x "$NAME"/*
tar --create --gzip --owner=0 --group=0 --file /pogo/out/uv.tar.gz "$NAME"
