// An echo server on Node: the ten lines that its manual suggests.
const net = require("node:net");

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
});
server.listen(0, "127.0.0.1", () => {
  console.log(`tcp://127.0.0.1:${server.address().port}`);
});
