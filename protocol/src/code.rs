//! The one table of Fanfare's own codes: used to close a connection and to refuse a command.

/// An application code, sent as the number of a close frame or as `code` of an `error` reply.
///
/// RFC 6455 §7.4.2 leaves 4000-4999 to applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Code {
    /// The connection could not be set up.
    ConnectionFailed = 4000,
    /// The token is missing or was not accepted.
    AuthenticationFailed = 4001,
    /// There is no such room (on the wire a room is called a session here, for older clients).
    RoomNotFound = 4002,
    /// The room holds as many members as it may.
    RoomFull = 4003,
    /// Too many commands in too little time.
    RateLimitExceeded = 4004,
    /// The message could not be understood.
    InvalidMessage = 4005,
    /// The server failed or is overloaded.
    ServerError = 4006,
    /// The peer did not answer a ping in time.
    HeartbeatTimeout = 4007,
    /// The peer reads too slowly: its backlog reached the bound.
    SlowConsumer = 4008,
    /// A limit on connections was reached.
    ConnectionLimit = 4009,
    /// The peer sent nothing for too long.
    IdleTimeout = 4010,
    /// An operator ended the connection.
    DisconnectedByAdmin = 4011,
    /// The token's time ran out and it was not refreshed.
    TokenExpired = 4012,
    /// The token does not allow this.
    Forbidden = 4013,
    /// What was asked for does not go with how things are: it is there already, or over already.
    Conflict = 4014,
}

/// Every code, in order of its number.
pub const CODES: [Code; 15] = [
    Code::ConnectionFailed,
    Code::AuthenticationFailed,
    Code::RoomNotFound,
    Code::RoomFull,
    Code::RateLimitExceeded,
    Code::InvalidMessage,
    Code::ServerError,
    Code::HeartbeatTimeout,
    Code::SlowConsumer,
    Code::ConnectionLimit,
    Code::IdleTimeout,
    Code::DisconnectedByAdmin,
    Code::TokenExpired,
    Code::Forbidden,
    Code::Conflict,
];

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionFailed => "CONNECTION_FAILED",
            Self::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Self::RoomNotFound => "SESSION_NOT_FOUND",
            Self::RoomFull => "SESSION_FULL",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::InvalidMessage => "INVALID_MESSAGE",
            Self::ServerError => "SERVER_ERROR",
            Self::HeartbeatTimeout => "HEARTBEAT_TIMEOUT",
            Self::SlowConsumer => "SLOW_CONSUMER",
            Self::ConnectionLimit => "CONNECTION_LIMIT",
            Self::IdleTimeout => "IDLE_TIMEOUT",
            Self::DisconnectedByAdmin => "DISCONNECTED_BY_ADMIN",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::Forbidden => "FORBIDDEN",
            Self::Conflict => "CONFLICT",
        }
    }

    /// Whether a client that was closed with this code should connect again by itself.
    pub const fn reconnect(self) -> bool {
        !matches!(
            self,
            Self::AuthenticationFailed
                | Self::RoomNotFound
                | Self::ConnectionLimit
                | Self::DisconnectedByAdmin
        )
    }

    /// The HTTP status that says the same to an HTTP client.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::AuthenticationFailed | Self::TokenExpired => 401,
            Self::Forbidden => 403,
            Self::RoomNotFound => 404,
            Self::RoomFull | Self::Conflict => 409,
            Self::RateLimitExceeded => 429,
            Self::InvalidMessage => 400,
            Self::ConnectionFailed | Self::ServerError | Self::ConnectionLimit => 503,
            Self::HeartbeatTimeout | Self::IdleTimeout => 408,
            Self::SlowConsumer | Self::DisconnectedByAdmin => 410,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_names_are_unique() {
        for (index, code) in CODES.iter().enumerate() {
            assert_eq!(usize::from(code.number()), 4000 + index);
            assert_eq!(CODES.iter().filter(|other| other.name() == code.name()).count(), 1);
        }
    }
}
