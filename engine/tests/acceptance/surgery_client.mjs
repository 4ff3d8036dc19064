// The scheduler's browser client, as its application describes it: host, token and the times of tests are arguments.
// Every line of output is one JSON object: what the client did or was told.

const [host, token, heartbeatMs = '30000', reconnectMs = '100'] = process.argv.slice(2);

const tell = (what, value = {}) => console.log(JSON.stringify({ what, ...value }));

// What a page has and Node has not.
globalThis.window = { location: { pathname: '/schedule/2024-01-15' } };

class SurgerySchedulerWebSocket {
    constructor(token) {
        this.token = token;
        this.ws = null;
        this.reconnectAttempts = 0;
        this.maxReconnectAttempts = 5;
    }

    connect() {
        const wsUrl = `ws://${host}/api/ws/ws?token=${this.token}`;
        this.ws = new WebSocket(wsUrl);

        this.ws.onopen = () => {
            tell('connected', { attempts: this.reconnectAttempts });
            this.reconnectAttempts = 0;
            this.startHeartbeat();
        };

        this.ws.onmessage = (event) => {
            const message = JSON.parse(event.data);
            this.handleMessage(message);
        };

        this.ws.onclose = (event) => {
            tell('disconnected', { code: event.code });
            this.reconnect();
        };

        this.ws.onerror = () => {
            // A browser closes after this. Node 20 says no more of a connection that never came about.
            const { ws } = this;
            if (ws.readyState === WebSocket.CONNECTING) {
                ws.onclose = null;
                this.reconnect();
            }
        };
    }

    // Named and bounded by the application, not written out there.
    reconnect() {
        if (this.reconnectAttempts >= this.maxReconnectAttempts) {
            tell('gave up', { attempts: this.reconnectAttempts });
            process.exit(0);
        }
        this.reconnectAttempts += 1;
        setTimeout(() => this.connect(), Number(reconnectMs));
    }

    handleMessage(message) {
        switch (message.type) {
            case 'schedule_update':
                this.handleScheduleUpdate(message.data);
                break;
            case 'optimization_progress':
                this.handleOptimizationProgress(message.data);
                break;
            case 'conflict_notification':
                this.handleConflictNotification(message.data);
                break;
            case 'user_presence':
                this.handleUserPresence(message.data);
                break;
            case 'emergency_alert':
                this.handleEmergencyAlert(message.data);
                break;
            case 'system_notification':
                this.handleSystemNotification(message.data);
                break;
            default:
                // The application overlooks these; a test wants to know of them.
                tell('overlooked', { message });
        }
    }

    sendHeartbeat() {
        if (this.ws && this.ws.readyState === WebSocket.OPEN) {
            this.ws.send(JSON.stringify({
                type: 'heartbeat',
                data: {
                    current_page: window.location.pathname,
                    active_schedule_date: this.getCurrentScheduleDate(),
                },
            }));
        }
    }

    // One more timer with each connection, as the application has it: the server must bear that.
    startHeartbeat() {
        setInterval(() => this.sendHeartbeat(), Number(heartbeatMs));
    }

    getCurrentScheduleDate() {
        return '2024-01-15';
    }

    handleScheduleUpdate(data) {
        tell('schedule', { line: `surgery ${data.surgery_id} in room ${data.room_id}: ${data.action}`, data });
    }

    handleOptimizationProgress(data) {
        tell('optimization', { line: `${data.progress_percentage}% (${data.status})`, data });
    }

    handleConflictNotification(data) {
        tell('conflict', { line: `${data.severity}: ${data.description}`, data });
    }

    handleUserPresence(data) {
        tell('presence', { line: `${data.username} ${data.action}`, data });
    }

    handleEmergencyAlert(data) {
        tell('emergency', { line: `${data.priority}: ${data.surgery_type} for ${data.patient_name}`, data });
    }

    handleSystemNotification(data) {
        tell('notification', { line: `${data.severity}: ${data.title}`, data });
    }
}

new SurgerySchedulerWebSocket(token).connect();
