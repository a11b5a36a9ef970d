const log = document.getElementById("log");
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
socket.onopen = () => socket.send("hello");
socket.onmessage = (event) => {
  log.textContent += event.data + "\n";
};
document.forms[0].onsubmit = (event) => {
  event.preventDefault();
  socket.send(event.target.text.value);
  event.target.reset();
};
