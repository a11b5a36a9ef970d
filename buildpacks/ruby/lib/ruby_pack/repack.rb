# repack.rb HOME < LIST: writes gemspecs below HOME as bundler expects them of installed gems.
#
# LIST is JSON: [{"spec": a gemspec of Debian, "platform": …, "needs": {name: requirement}, "flat": true|false}].
# Debian loosens requirements in its gemspecs; bundler compares them with Gemfile.lock, so they become those of
# the lock. Compiled extensions lie in lib/ already. flat: the package has no directory of its own for the gem.
require "json"
require "rubygems"

home = ARGV.fetch(0)
JSON.parse($stdin.read).each do |item|
  spec = Gem::Specification.load(item["spec"]) or abort "#{item["spec"]} cannot be read"
  spec = spec.dup
  spec.platform = item["platform"]
  spec.extensions = []
  spec.files = []
  spec.require_paths = ["lib"] if item["flat"]
  spec.dependencies.clear
  item["needs"].each { |name, requirement| spec.add_dependency(name, *requirement.split(", ")) }
  File.write(File.join(home, "specifications", "#{spec.full_name}.gemspec"), spec.to_ruby)
end
