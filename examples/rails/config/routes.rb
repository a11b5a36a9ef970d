Rails.application.routes.draw do
  root "entries#index"
  resources :entries, only: :create
  get "healthz", to: proc { [200, { "content-type" => "text/plain" }, ["ok\n"]] }
end
