// A web server with a page, a health check and an echoing WebSocket at /ws.
const http = require("node:http");
const express = require("express");
const { WebSocketServer } = require("ws");

const dyno = process.env.DYNO || "none";
const app = express();
app.disable("x-powered-by");
app.use(express.static("public"));
app.get("/healthz", (request, response) => response.json({ status: "ok", dyno }));
app.get("/", (request, response) => {
  response.send(`<!doctype html><meta charset="utf-8"><title>Express on Pogoapp</title>
<h1>Express, dyno ${dyno}</h1><form><input name="text" autofocus> <button>Send</button></form>
<pre id="log"></pre><script src="/client.js"></script>`);
});

const server = http.createServer(app);
const sockets = new WebSocketServer({ server, path: "/ws" });
sockets.on("connection", (socket) => {
  socket.on("message", (data) => socket.send(`${dyno}: ${data}`));
});
server.listen(process.env.PORT || 5000, "0.0.0.0", () => console.log(`listening on ${server.address().port}`));

process.on("SIGTERM", () => {
  console.log("stopping");
  sockets.clients.forEach((socket) => socket.close(1001, "the dyno stops"));
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
