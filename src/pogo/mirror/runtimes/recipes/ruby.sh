# /pogo/in/source: Ruby's source archive (Debian's, without bundled gems). Makes /pogo/out/ruby.tgz.
# Layout of the official ruby pack: the prefix at the archive's root, found relative to bin/ruby.
set -euo pipefail
prefix=/tmp/ruby
mkdir -p /tmp/source && cd /tmp/source
tar -xf /pogo/in/source --strip-components=1
: >gems/bundled_gems
[ -x configure ] || ./autogen.sh >autogen.log 2>&1
./configure --quiet --prefix="$prefix" --enable-load-relative --enable-shared --disable-install-doc \
    --disable-yjit >configure.log 2>&1 || { tail -n 30 configure.log; exit 1; }
nice make --silent -j2 >make.log 2>&1 || { tail -n 30 make.log; exit 1; }
make --silent install >install.log 2>&1 || { tail -n 30 install.log; exit 1; }
find "$prefix" -name '*.so*' -type f -exec strip --strip-unneeded {} +
mv "$prefix" /tmp/moved
/tmp/moved/bin/ruby -ropenssl -rpsych -rzlib -e 'puts RUBY_VERSION'
/tmp/moved/bin/bundle --version
tar --create --gzip --sort=name --owner=0 --group=0 --numeric-owner --directory /tmp/moved --file /pogo/out/ruby.tgz .
