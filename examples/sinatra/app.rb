require "json"

require "faye/websocket"
require "sinatra/base"

# A page, a check, and a WebSocket that answers what it is told.
class App < Sinatra::Base
  get "/" do
    erb :index
  end

  get "/healthz" do
    content_type :json
    JSON.generate(status: "ok", dyno: ENV["DYNO"])
  end

  get "/ws" do
    halt 426, "This address speaks WebSocket only.\n" unless Faye::WebSocket.websocket?(env)
    socket = Faye::WebSocket.new(env)
    socket.on(:message) { |event| socket.send("#{ENV["DYNO"]}: #{event.data}") }
    socket.rack_response
  end
end
