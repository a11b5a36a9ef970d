# Prints the names of the gems that a Gemfile asks for outside the groups of BUNDLE_WITHOUT, one per line.
# Run in the app's directory. It reads the Gemfile as bundler does and installs nothing.
require "bundler"

definition = Bundler::Definition.build(Bundler.default_gemfile, Bundler.default_lockfile, nil)
without = ENV.fetch("BUNDLE_WITHOUT", "").split(/[:\s]+/).map(&:to_sym)
definition.dependencies.each do |wanted|
  puts wanted.name if wanted.should_include? && (wanted.groups - without).any?
end
