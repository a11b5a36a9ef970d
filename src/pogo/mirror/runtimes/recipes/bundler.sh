# /pogo/in/ruby: an archive that ruby.sh has made. Makes, of the bundler in it, /pogo/out/bundler.gem and its
# specification as gem servers publish it, /pogo/out/bundler.gemspec.rz.
set -euo pipefail
mkdir -p /tmp/ruby /tmp/gem/lib && tar -xzf /pogo/in/ruby -C /tmp/ruby
cd /tmp/gem
cp -r /tmp/ruby/lib/ruby/[0-9]*/bundler /tmp/ruby/lib/ruby/[0-9]*/bundler.rb lib/
cp -r /tmp/ruby/lib/ruby/gems/*/gems/bundler-*/exe .
/tmp/ruby/bin/ruby -rrubygems/package -rzlib -e '
  spec = Gem::Specification.load(Dir["/tmp/ruby/lib/ruby/gems/*/specifications/default/bundler-*.gemspec"].first)
  spec.files = Dir["{lib,exe}/**/*"].select { |path| File.file?(path) }.sort
  built = Gem::Package.build(spec, true)
  File.rename(built, "/pogo/out/bundler.gem")
  spec.files = []
  File.binwrite("/pogo/out/bundler.gemspec.rz", Zlib::Deflate.deflate(Marshal.dump(spec)))
'
