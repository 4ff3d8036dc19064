// The document's own client: what its React hook does, without React. Commands come as lines of JSON on stdin, what happens goes out on stdout.
//   node --experimental-websocket documents_client.mjs '{"url":"ws://…","reconnect":true}'

import { createInterface } from 'node:readline';

function useWebSocket(options) {
  const hook = { isConnected: false, lastMessage: null };
  const handlers = new Map();
  let ws = null;
  let tries = 0;
  let left = false;

  const connect = () => {
    try {
      ws = new WebSocket(options.url);
      let opened = false;
      ws.onopen = () => {
        opened = true;
        hook.isConnected = true;
        tries = 0;
        tell({ state: 'connected' });
      };
      ws.onmessage = (event) => {
        const data = JSON.parse(event.data);
        hook.lastMessage = data;
        if (data.type && handlers.has(data.type)) {
          handlers.get(data.type).forEach((handler) => handler(data));
        }
      };
      ws.onclose = (event) => {
        ws.onclose = null;
        hook.isConnected = false;
        tell({ state: 'disconnected', code: event.code, reason: event.reason });
        if (!left && options.reconnect && tries < (options.reconnectAttempts || 5)) {
          tries++;
          setTimeout(connect, options.reconnectInterval || 3000);
        } else {
          tell({ state: 'given up', tries });
        }
      };
      ws.onerror = () => {
        tell({ state: 'error' });
        // Browsers tell the close of a connection that never came about; Node 20 does not.
        if (!opened) ws.onclose?.({ code: 1006, reason: '' });
      };
    } catch (error) {
      tell({ state: 'failed', message: String(error) });
    }
  };

  hook.sendMessage = (message) => {
    if (ws?.readyState === WebSocket.OPEN) {
      ws.send(JSON.stringify(message));
    }
  };

  hook.on = (type, handler) => {
    if (!handlers.has(type)) {
      handlers.set(type, new Set());
    }
    handlers.get(type).add(handler);
    return () => handlers.get(type)?.delete(handler);
  };

  hook.reconnect = connect;
  hook.unmount = () => {
    left = true;
    ws?.close();
  };
  connect();
  return hook;
}

const tell = (what) => console.log(JSON.stringify(what));

const hook = useWebSocket(JSON.parse(process.argv[2]));
const unsubscribe = new Map();

// What a component does with the hook: progress of its own document, until it goes.
const actions = {
  watch: ({ document_id }) => {
    const offs = [
      hook.on('processing_progress', (data) => {
        if (data.document_id === document_id) tell({ progress: data.progress, zone: data.current_zone });
      }),
      hook.on('processing_completed', (data) => {
        if (data.document_id === document_id) tell({ progress: 100, done: true });
      }),
    ];
    unsubscribe.set(document_id, () => offs.forEach((off) => off()));
  },
  unwatch: ({ document_id }) => unsubscribe.get(document_id)(),
  on: ({ type }) => hook.on(type, (data) => tell({ heard: data })),
  send: ({ message }) => hook.sendMessage(message),
  look: () => tell({ isConnected: hook.isConnected, lastMessage: hook.lastMessage }),
  unmount: () => hook.unmount(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  actions[command.do](command);
  tell({ did: command.do });
}
