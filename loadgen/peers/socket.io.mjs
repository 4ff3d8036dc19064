// A broadcast server as one writes it with Socket.IO: node socket.io.mjs PORT
import { Server } from 'socket.io';

const port = Number(process.argv[2] ?? 8080);
const io = new Server({ transports: ['websocket'], serveClient: false });
io.on('connection', (socket) => {
  socket.on('subscribe', (room) => {
    socket.join(room);
    socket.emit('subscribed', room);
  });
  socket.on('publish', (room, data) => io.to(room).emit('message', room, data));
});
io.listen(port);
