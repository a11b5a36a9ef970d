require_relative "boot"

require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"

Bundler.require(*Rails.groups)

module Guestbook
  class Application < Rails::Application
    config.load_defaults 7.2
    config.assets.excluded_paths = [Rails.root.join("app/assets/stylesheets")]  # compiled by lib/tasks/css.rake
  end
end
