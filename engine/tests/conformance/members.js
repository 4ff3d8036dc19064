// Members of one room who come at different times, in a page and in Node alike. Gives what each has read when the end came:
// the offset at its join, and the data of everything after it.
function readAll(WebSocket, url, done) {
  const members = [];
  let reading = 0;
  const join = () => {
    const member = { offset: 0, extensions: "", data: [] };
    members.push(member);
    reading += 1;
    const socket = new WebSocket(url);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "welcome") {
        socket.send(JSON.stringify({ type: "join", id: 1, room: "context:1" }));
      } else if (message.type === "joined") {
        member.offset = message.offset;
        member.extensions = socket.extensions;
      } else if (message.type === "say") {
        member.data.push(message.data);
        if (member === members[0] && member.data.length % 40 === 0) join();
      } else if (message.type === "end") {
        socket.close();
        reading -= 1;
        if (reading === 0) done(members);
      }
    };
    socket.onclose = (event) => {
      if (event.code !== 1000 && event.code !== 1005) throw new Error(`closed with ${event.code} ${event.reason}`);
    };
  };
  join();
}

if (typeof module !== "undefined") {
  const [url, library] = process.argv.slice(2);
  const WebSocket = require(library);
  readAll(WebSocket, url, (members) => console.log(JSON.stringify(members)));
}
