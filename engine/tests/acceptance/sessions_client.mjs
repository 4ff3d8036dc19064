// The application's own browser client, from TypeScript to plain JavaScript: what is changed is the host, that the URL has a
// token, and that time runs faster. It prints what its handlers are told, and does what it reads from standard input.

import readline from "node:readline";

const [host, sessionId, clientId, token, kind, speed] = process.argv.slice(2);

const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
// Delays are told as the application means them.
const later = (action, ms) => (say("wait", { ms }), setTimeout(action, ms / speed));
const url = (role) => `${host}/ws/live-updates?session_id=${sessionId}&client_id=${clientId}&role=${role}&token=${token}`;

// Of a connection that fails Node tells by `error` alone; browsers close it as well.
class BrowserSocket extends WebSocket {
    constructor(url) {
        super(url);
        let isClosed = false;
        this.addEventListener("close", () => (isClosed = true));
        this.addEventListener("error", () => setTimeout(() => isClosed || this.dispatchEvent(new Event("close")), 0));
    }
}

class SessionWebSocket {
    ws = null;
    reconnectAttempts = 0;
    maxReconnectAttempts = 5;
    reconnectDelay = 1000;
    heartbeatInterval = null;
    messageQueue = [];

    constructor(sessionId, clientId, role = "participant") {
        this.sessionId = sessionId;
        this.clientId = clientId;
        this.role = role;
    }

    connect() {
        return new Promise((resolve, reject) => {
            try {
                this.ws = new BrowserSocket(url(this.role));
                this.ws.onopen = () => {
                    say("open");
                    this.reconnectAttempts = 0;
                    this.reconnectDelay = 1000;
                    this.startHeartbeat();
                    this.flushMessageQueue();
                    resolve();
                };
                this.ws.onmessage = (event) => this.handleMessage(JSON.parse(event.data));
                this.ws.onerror = (error) => reject(error);
                this.ws.onclose = (event) => {
                    say("close", { code: event.code, reason: event.reason });
                    this.stopHeartbeat();
                    this.attemptReconnect();
                };
            } catch (error) {
                reject(error);
            }
        });
    }

    handleMessage(message) {
        switch (message.type) {
            case "welcome": return this.onWelcome(message);
            case "technique_changed": return this.onTechniqueChanged(message);
            case "hrv_milestone": return this.onHRVMilestone(message);
            case "participant_joined": return this.onParticipantJoined(message);
            case "session_ending": return this.onSessionEnding(message);
            case "error": return this.onError(message);
            default: return this.onCustomMessage(message);
        }
    }

    startHeartbeat() {
        this.heartbeatInterval = setInterval(() => this.send({ type: "heartbeat" }), 30000 / speed);
    }

    stopHeartbeat() {
        if (this.heartbeatInterval) {
            clearInterval(this.heartbeatInterval);
            this.heartbeatInterval = null;
        }
    }

    attemptReconnect() {
        if (this.reconnectAttempts >= this.maxReconnectAttempts) {
            this.onMaxReconnectFailed();
            return;
        }
        this.reconnectAttempts++;
        later(() => this.connect().catch(() => say("reconnection failed")), this.reconnectDelay);
        this.reconnectDelay = Math.min(this.reconnectDelay * 2, 30000);
    }

    send(message) {
        if (this.ws && this.ws.readyState === WebSocket.OPEN) {
            this.ws.send(JSON.stringify(message));
        } else {
            this.messageQueue.push(message);
        }
    }

    flushMessageQueue() {
        while (this.messageQueue.length > 0 && this.ws?.readyState === WebSocket.OPEN) {
            this.ws.send(JSON.stringify(this.messageQueue.shift()));
        }
    }

    disconnect() {
        this.stopHeartbeat();
        if (this.ws) {
            this.ws.close();
            this.ws = null;
        }
    }

    onWelcome(message) { say("onWelcome", { message }); }
    onTechniqueChanged(message) { say("onTechniqueChanged", { content: message.content }); }
    onHRVMilestone(message) { say("onHRVMilestone", { content: message.content }); }
    onParticipantJoined(message) { say("onParticipantJoined", { content: message.content }); }
    onSessionEnding(message) { say("onSessionEnding", { message }); }
    onError(message) { say("onError", { message }); }
    onCustomMessage(message) { say("onCustomMessage", { message }); }
    onMaxReconnectFailed() { say("onMaxReconnectFailed", { delay: this.reconnectDelay }); }
}

class BreathingSessionClient extends SessionWebSocket {
    constructor(sessionId, clientId, uiController) {
        super(sessionId, clientId, "participant");
        this.uiController = uiController;
    }

    onTechniqueChanged(message) {
        this.uiController.updateTechnique(message.content.title, message.content.instruction, message.content.duration);
    }

    onHRVMilestone(message) {
        this.uiController.showAchievement(message.content.message, message.content.badge);
    }

    sendFeedback(technique, rating) {
        this.send({ type: "technique_feedback", data: { technique, rating, timestamp: new Date().toISOString() } });
    }
}

const uiController = {
    updateTechnique: (...args) => say("updateTechnique", { args }),
    showAchievement: (...args) => say("showAchievement", { args }),
};

// The hook of the application's React page and the view that uses it, without React: it comes back after three seconds, always.
class SessionView {
    participants = [];
    currentTechnique = "";

    connect() {
        this.ws = new BrowserSocket(url("participant"));
        this.ws.onopen = () => say("open");
        this.ws.onerror = () => {};
        this.ws.onmessage = (event) => {
            const message = JSON.parse(event.data);
            if (message.type === "participant_joined") this.participants.push(message.content.name);
            if (message.type === "technique_changed") this.currentTechnique = message.content.title;
            say("view", { type: message.type, participants: this.participants, technique: this.currentTechnique });
        };
        this.ws.onclose = () => {
            say("close");
            later(() => this.connect(), 3000);
        };
    }

    sendFeedback(_technique, rating) {
        if (this.ws?.readyState !== WebSocket.OPEN) return;
        this.ws.send(JSON.stringify({ type: "technique_feedback", data: { technique: this.currentTechnique, rating } }));
    }
}

const client = kind === "view" ? new SessionView() : new BreathingSessionClient(sessionId, clientId, uiController);
client.connect()?.catch(() => say("not connected"));
for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...args] = JSON.parse(line);
    client[name](...args);
}
process.exit(0);
