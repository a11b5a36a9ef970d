# /pogo/in/source: CPython's own source archive. Makes /pogo/out/python.tar.zst.
# Layout of the official python pack: the prefix at the archive's root, relocatable by PYTHONHOME, a
# shared library, a relative link bin/python, pip only as the wheel that ensurepip brings.
set -euo pipefail
prefix=/tmp/python
mkdir -p /tmp/source && cd /tmp/source
tar -xf /pogo/in/source --strip-components=1
# Without these, calls inside of the shared library go through its table of symbols.
export CFLAGS=-fno-semantic-interposition LDFLAGS="-fno-semantic-interposition -Wl,--strip-all"
./configure --quiet --prefix="$prefix" --enable-shared --enable-loadable-sqlite-extensions \
    --with-ensurepip=no --without-static-libpython
nice make --silent -j2 >make.log 2>&1 || { tail -n 30 make.log; exit 1; }
make --silent install >install.log 2>&1 || { tail -n 30 install.log; exit 1; }
find "$prefix" -depth -type d \( -name test -o -name tests -o -name idle_test \) -exec rm -rf {} +
find "$prefix" -depth -type f \( -name '*.pyc' -o -name '*.a' \) -delete
# Files that are wrong on purpose, templates of lib2to3 for one, cannot be compiled.
LD_LIBRARY_PATH=/tmp/source ./python -m compileall -q -f --invalidation-mode unchecked-hash "$prefix/lib" || true
rm -f "$prefix"/bin/idle* "$prefix"/bin/pydoc* "$prefix"/bin/2to3*
ln -s python3 "$prefix/bin/python"
for module in ssl sqlite3 ctypes lzma bz2 zlib readline decimal uuid; do
    LD_LIBRARY_PATH="$prefix/lib" "$prefix/bin/python" -c "import $module" || { echo "The module $module is missing."; exit 1; }
done
tar --create --sort=name --owner=0 --group=0 --numeric-owner --directory "$prefix" . |
    zstd -q -T2 -12 -o /pogo/out/python.tar.zst
