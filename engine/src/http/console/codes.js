// Why connections end: docs/protocol.md, "Errors".

const NAMES = {
  1000: "closed", 1001: "going away", 1002: "protocol error", 1006: "connection lost", 1009: "message too big",
  1012: "service restart", 4000: "CONNECTION_FAILED", 4001: "AUTHENTICATION_FAILED", 4002: "SESSION_NOT_FOUND",
  4003: "SESSION_FULL", 4004: "RATE_LIMIT_EXCEEDED", 4005: "INVALID_MESSAGE", 4006: "SERVER_ERROR",
  4007: "HEARTBEAT_TIMEOUT", 4008: "SLOW_CONSUMER", 4009: "CONNECTION_LIMIT", 4010: "IDLE_TIMEOUT",
  4011: "DISCONNECTED_BY_ADMIN", 4012: "TOKEN_EXPIRED", 4013: "FORBIDDEN",
};
const STAY_AWAY = new Set([4001, 4002, 4009, 4011]);

export const AUTHENTICATION_FAILED = 4001;
export const TOKEN_EXPIRED = 4012;
export const LOST = 1006;

/** The code's name, or undefined. */
export const codeName = (code) => NAMES[code];

/** After these a client is not to come back by itself. */
export const staysAway = (code) => STAY_AWAY.has(code);
