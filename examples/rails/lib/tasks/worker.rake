desc "Stands for whatever an app does beside its requests"
task worker: :environment do
  $stdout.sync = true
  %w[INT TERM].each { |name| trap(name) { throw :stop } }
  puts "worker started: #{ENV["DYNO"]}"
  catch(:stop) do
    loop do
      sleep 60
      puts "worker is alive"
    end
  end
  puts "worker stopping"
end
