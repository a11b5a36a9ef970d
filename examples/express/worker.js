// A background process: no port, only work and logs.
let count = 0;
const timer = setInterval(() => console.log(`worker ${process.env.DYNO || ""}: tick ${++count}`), 5000);
console.log("worker started");
process.on("SIGTERM", () => {
  clearInterval(timer);
  console.log("worker stopping");
});
