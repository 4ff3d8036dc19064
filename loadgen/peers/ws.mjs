// A broadcast server as one writes it with `ws`: node ws.mjs PORT
import { WebSocketServer } from 'ws';

const port = Number(process.argv[2] ?? 8080);
const rooms = new Map();
const room = (name) => rooms.get(name) ?? rooms.set(name, new Set()).get(name);

const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: process.argv[3] === 'deflate' });
server.on('connection', (socket) => {
  const mine = new Set();
  socket.on('message', (text) => {
    let command;
    try {
      command = JSON.parse(text);
    } catch {
      socket.send('{"error":"not JSON"}');
      return;
    }
    if (command.subscribe !== undefined) {
      const members = room(command.subscribe);
      members.add(socket);
      mine.add(members);
      socket.send(JSON.stringify({ subscribed: command.subscribe }));
    } else if (command.publish !== undefined) {
      const message = JSON.stringify({ room: command.publish, data: command.data });
      for (const member of room(command.publish)) member.send(message);
    } else {
      socket.send('{"error":"unknown command"}');
    }
  });
  socket.on('close', () => mine.forEach((members) => members.delete(socket)));
  socket.on('error', () => socket.terminate());
});
