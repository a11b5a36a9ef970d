# tasks.rb REPORT: runs assets:precompile and assets:clean in one process, where the app has these tasks.
#
# Loading a Rails app takes longer than most tasks, so it is loaded once for all of them. REPORT gets
# the names of the tasks that were found. Exit status: 0, 1 for a task that failed, 70 for a Rakefile that does
# not load.
require "bundler/setup"
require "rake"

KNOWN = %w[assets:precompile assets:clean jobs:work].freeze

rake = Rake.application
rake.init("rake", [])
begin
  rake.raw_load_rakefile
rescue StandardError, ScriptError => error
  warn error.full_message(highlight: false)
  exit 70
end
found = KNOWN.select { |name| Rake::Task.task_defined?(name) }
File.write(ARGV.fetch(0), found.join("\n"))
exit 0 if ENV["POGO_RUBY_ASSETS"] == "no"

(found - ["jobs:work"]).each do |name|
  puts "Running: rake #{name}"
  $stdout.flush
  rake.standard_exception_handling { Rake::Task[name].invoke }
end
