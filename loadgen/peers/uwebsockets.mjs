// A broadcast server as one writes it with uWebSockets.js and its topics: node uwebsockets.mjs PORT
// (uWebSockets.js is installed from its own repository: see its README.)
import uWS from 'uWebSockets.js';

const port = Number(process.argv[2] ?? 8080);
const text = new TextDecoder();
const app = uWS.App().ws('/*', {
  maxPayloadLength: 64 * 1024,
  message: (socket, bytes) => {
    let command;
    try {
      command = JSON.parse(text.decode(bytes));
    } catch {
      socket.send('{"error":"not JSON"}');
      return;
    }
    if (command.subscribe !== undefined) {
      socket.subscribe(command.subscribe);
      socket.send(JSON.stringify({ subscribed: command.subscribe }));
    } else if (command.publish !== undefined) {
      app.publish(command.publish, JSON.stringify({ room: command.publish, data: command.data }));
    } else {
      socket.send('{"error":"unknown command"}');
    }
  },
});
app.listen('127.0.0.1', port, (listening) => {
  if (!listening) process.exit(1);
});
