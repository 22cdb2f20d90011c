// TLS servers on Node, as its manual suggests: node tls_echo.js ROLE CERTIFICATE KEY
const fs = require("node:fs");
const tls = require("node:tls");

const [role, certificate, key] = process.argv.slice(2);
const MIB = 1024 * 1024;
const message = Buffer.from(Array.from({ length: 64 * 1024 }, (_, position) => position % 251));

const roles = {
  echo(socket) {
    socket.pipe(socket);
  },
  // Answers each MiB with one byte, its last.
  sink(socket) {
    let heard = 0;
    socket.on("data", (data) => {
      heard += data.length;
      if (heard >= MIB) {
        heard -= MIB;
        const at = data.length - heard - 1;
        socket.write(data.subarray(at, at + 1));
      }
    });
  },
  // Sends messages without end, from the first byte that comes in.
  source(socket) {
    let begun = false;
    const more = () => {
      while (socket.writable && socket.write(message));
    };
    socket.on("drain", more);
    socket.on("data", () => {
      if (!begun) more();
      begun = true;
    });
  },
};

const options = {
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(key),
  noDelay: true,
};
const server = tls.createServer(options, (socket) => {
  socket.on("error", () => socket.destroy());
  roles[role](socket);
});
server.listen(0, "127.0.0.1", () => {
  console.log(`tls://127.0.0.1:${server.address().port}`);
});
