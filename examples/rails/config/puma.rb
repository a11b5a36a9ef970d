threads_count = ENV.fetch("RAILS_MAX_THREADS", 3)
threads threads_count, threads_count
workers ENV["WEB_CONCURRENCY"] if ENV.key?("WEB_CONCURRENCY")
persistent_timeout Integer(ENV.fetch("PUMA_PERSISTENT_TIMEOUT", 20))
