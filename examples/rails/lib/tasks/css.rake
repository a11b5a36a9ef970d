# Propshaft serves stylesheets as they are, so application.scss is compiled before assets are collected.
namespace :css do
  desc "Compile app/assets/stylesheets/application.scss"
  task :build do
    require "sassc"
    sources = File.expand_path("../../app/assets/stylesheets", __dir__)
    target = File.expand_path("../../app/assets/builds/application.css", __dir__)
    text = File.read("#{sources}/application.scss")
    css = SassC::Engine.new(text, syntax: :scss, style: :compressed, load_paths: [sources]).render
    FileUtils.mkdir_p(File.dirname(target))
    File.write(target, css)
    puts "Compiled application.scss (#{css.bytesize} bytes)"
  end
end

Rake::Task["assets:precompile"].enhance(["css:build"]) if Rake::Task.task_defined?("assets:precompile")
